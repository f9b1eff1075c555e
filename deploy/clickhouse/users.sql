-- Users of the databases `zakaz` and `zakaz_raw`. Written by
-- deploy/clickhouse_users.py. Run as an administrator, again after every upgrade.
-- New users get a hash that no password has. Use --secrets to create passwords.

CREATE ROLE IF NOT EXISTS qtickets_loader_role;
GRANT SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP DATABASE, DROP TABLE, DROP VIEW, TRUNCATE, OPTIMIZE, SHOW, dictGet ON `zakaz_raw`.* TO qtickets_loader_role;
GRANT TABLE ENGINE ON MergeTree TO qtickets_loader_role;
GRANT TABLE ENGINE ON ReplacingMergeTree TO qtickets_loader_role;
GRANT TABLE ENGINE ON SummingMergeTree TO qtickets_loader_role;
GRANT TABLE ENGINE ON AggregatingMergeTree TO qtickets_loader_role;
GRANT TABLE ENGINE ON CollapsingMergeTree TO qtickets_loader_role;
GRANT TABLE ENGINE ON VersionedCollapsingMergeTree TO qtickets_loader_role;
GRANT TABLE ENGINE ON Memory TO qtickets_loader_role;
GRANT TABLE ENGINE ON Null TO qtickets_loader_role;
GRANT CREATE TEMPORARY TABLE ON *.* TO qtickets_loader_role;
GRANT SELECT ON INFORMATION_SCHEMA.* TO qtickets_loader_role;
GRANT SELECT ON information_schema.* TO qtickets_loader_role;
CREATE SETTINGS PROFILE OR REPLACE qtickets_loader SETTINGS max_memory_usage = 4000000000, max_execution_time = 3600;
CREATE USER IF NOT EXISTS qtickets_loader IDENTIFIED WITH sha256_hash BY '0000000000000000000000000000000000000000000000000000000000000000';
ALTER USER qtickets_loader SETTINGS PROFILE 'qtickets_loader';
GRANT qtickets_loader_role TO qtickets_loader;
SET DEFAULT ROLE qtickets_loader_role TO qtickets_loader;

CREATE ROLE IF NOT EXISTS qtickets_transformer_role;
GRANT SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP DATABASE, DROP TABLE, DROP VIEW, TRUNCATE, OPTIMIZE, SHOW, dictGet ON `zakaz`.* TO qtickets_transformer_role;
GRANT SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP DATABASE, DROP TABLE, DROP VIEW, TRUNCATE, OPTIMIZE, SHOW, dictGet ON `zakaz_dbt_test__audit`.* TO qtickets_transformer_role;
GRANT SELECT, SHOW ON `zakaz_raw`.* TO qtickets_transformer_role;
GRANT TABLE ENGINE ON MergeTree TO qtickets_transformer_role;
GRANT TABLE ENGINE ON ReplacingMergeTree TO qtickets_transformer_role;
GRANT TABLE ENGINE ON SummingMergeTree TO qtickets_transformer_role;
GRANT TABLE ENGINE ON AggregatingMergeTree TO qtickets_transformer_role;
GRANT TABLE ENGINE ON CollapsingMergeTree TO qtickets_transformer_role;
GRANT TABLE ENGINE ON VersionedCollapsingMergeTree TO qtickets_transformer_role;
GRANT TABLE ENGINE ON Memory TO qtickets_transformer_role;
GRANT TABLE ENGINE ON Null TO qtickets_transformer_role;
GRANT CREATE TEMPORARY TABLE ON *.* TO qtickets_transformer_role;
GRANT SELECT ON system.* TO qtickets_transformer_role;
CREATE SETTINGS PROFILE OR REPLACE qtickets_transformer SETTINGS max_memory_usage = 6000000000, max_bytes_before_external_group_by = 3000000000, max_execution_time = 3600;
CREATE USER IF NOT EXISTS qtickets_transformer IDENTIFIED WITH sha256_hash BY '0000000000000000000000000000000000000000000000000000000000000000';
ALTER USER qtickets_transformer SETTINGS PROFILE 'qtickets_transformer';
GRANT qtickets_transformer_role TO qtickets_transformer;
SET DEFAULT ROLE qtickets_transformer_role TO qtickets_transformer;

CREATE ROLE IF NOT EXISTS qtickets_reader_role;
REVOKE SELECT, SHOW, dictGet ON `zakaz`.* FROM qtickets_reader_role;
GRANT SELECT ON `zakaz`.dim_* TO qtickets_reader_role;
GRANT SELECT ON `zakaz`.fact_* TO qtickets_reader_role;
GRANT SELECT ON `zakaz`.v_* TO qtickets_reader_role;
GRANT SELECT ON `zakaz`.mv_* TO qtickets_reader_role;
GRANT SELECT ON `zakaz`.plan_sales TO qtickets_reader_role;
GRANT SELECT ON `zakaz`.meta_job_runs TO qtickets_reader_role;
GRANT SELECT ON `zakaz`.quarantined_orders TO qtickets_reader_role;
GRANT SELECT ON `zakaz`.int_qtickets_loaded TO qtickets_reader_role;
GRANT SELECT ON INFORMATION_SCHEMA.* TO qtickets_reader_role;
GRANT SELECT ON information_schema.* TO qtickets_reader_role;
CREATE SETTINGS PROFILE OR REPLACE qtickets_reader SETTINGS readonly = 2, max_memory_usage = 2000000000 MAX 2000000000, max_execution_time = 60 MAX 60, max_concurrent_queries_for_user = 20 MAX 20, max_result_bytes = 1000000000 MAX 1000000000;
CREATE USER IF NOT EXISTS qtickets_reader IDENTIFIED WITH sha256_hash BY '0000000000000000000000000000000000000000000000000000000000000000';
ALTER USER qtickets_reader SETTINGS PROFILE 'qtickets_reader';
GRANT qtickets_reader_role TO qtickets_reader;
SET DEFAULT ROLE qtickets_reader_role TO qtickets_reader;

CREATE ROLE IF NOT EXISTS qtickets_backup_role;
GRANT SELECT, SHOW, BACKUP, CREATE TABLE, INSERT ON `zakaz`.* TO qtickets_backup_role;
GRANT SELECT, SHOW, BACKUP, CREATE TABLE, INSERT ON `zakaz_raw`.* TO qtickets_backup_role;
GRANT TABLE ENGINE ON MergeTree TO qtickets_backup_role;
GRANT TABLE ENGINE ON ReplacingMergeTree TO qtickets_backup_role;
GRANT TABLE ENGINE ON SummingMergeTree TO qtickets_backup_role;
GRANT TABLE ENGINE ON AggregatingMergeTree TO qtickets_backup_role;
GRANT TABLE ENGINE ON CollapsingMergeTree TO qtickets_backup_role;
GRANT TABLE ENGINE ON VersionedCollapsingMergeTree TO qtickets_backup_role;
GRANT TABLE ENGINE ON Memory TO qtickets_backup_role;
GRANT TABLE ENGINE ON Null TO qtickets_backup_role;
GRANT READ, WRITE ON DISK TO qtickets_backup_role;
GRANT SELECT ON system.* TO qtickets_backup_role;
CREATE SETTINGS PROFILE OR REPLACE qtickets_backup SETTINGS max_execution_time = 0;
CREATE USER IF NOT EXISTS qtickets_backup IDENTIFIED WITH sha256_hash BY '0000000000000000000000000000000000000000000000000000000000000000';
ALTER USER qtickets_backup SETTINGS PROFILE 'qtickets_backup';
GRANT qtickets_backup_role TO qtickets_backup;
SET DEFAULT ROLE qtickets_backup_role TO qtickets_backup;

CREATE QUOTA OR REPLACE qtickets_reader KEYED BY user_name FOR INTERVAL 1 hour MAX queries = 20000, execution_time = 7200 TO qtickets_reader;
