-- On a replicated cluster (CLICKHOUSE_CLUSTER), after users.sql, on every replica.
GRANT CLUSTER ON *.* TO qtickets_loader_role;
GRANT TABLE ENGINE ON ReplicatedMergeTree TO qtickets_loader_role;
GRANT TABLE ENGINE ON ReplicatedReplacingMergeTree TO qtickets_loader_role;
GRANT CLUSTER ON *.* TO qtickets_transformer_role;
GRANT REMOTE ON *.* TO qtickets_transformer_role;
GRANT SYSTEM SYNC REPLICA ON `zakaz`.* TO qtickets_transformer_role;
GRANT TABLE ENGINE ON ReplicatedMergeTree TO qtickets_transformer_role;
GRANT TABLE ENGINE ON ReplicatedReplacingMergeTree TO qtickets_transformer_role;
GRANT CLUSTER ON *.* TO qtickets_backup_role;
GRANT TABLE ENGINE ON ReplicatedMergeTree TO qtickets_backup_role;
GRANT TABLE ENGINE ON ReplicatedReplacingMergeTree TO qtickets_backup_role;
