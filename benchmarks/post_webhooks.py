"""`python -m benchmarks.post_webhooks URL SECRET FIRST_ID NUMBER PER_SECOND`: acknowledgements.

It posts signed webhooks at a constant rate, each over a new connection, and prints the seconds
until each answer as JSON. As a process of its own it is not slowed down by the sandbox.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from urllib.parse import urlsplit

from sandbox.server.webhooks import webhook_headers


def main(url: str, secret: str, first_id: int, number: int, per_second: float) -> None:
    parts = urlsplit(url)
    padding = "x" * 6000

    def post(order_id: int) -> float:
        body = json.dumps({"id": order_id, "baskets": padding}).encode()
        headers = webhook_headers("updated", body, secret)
        began = time.perf_counter()
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        connection.request("POST", parts.path, body, headers)
        status = connection.getresponse().status
        connection.close()
        assert status == 200, status
        return time.perf_counter() - began

    began = time.monotonic()
    with ThreadPoolExecutor(32) as pool:
        futures = []
        for index in range(number):
            time.sleep(max(0.0, began + index / per_second - time.monotonic()))
            futures.append(pool.submit(post, first_id + index))
        print(json.dumps([future.result() for future in futures]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
