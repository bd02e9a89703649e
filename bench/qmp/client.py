"""The same work as run.mjs, by Debian's python3-qemu-qmp: client.py SOCKET SEQUENTIAL PIPELINED BATCH; prints JSON."""
import asyncio
import json
import sys
import time

from qemu.qmp import QMPClient


async def main() -> None:
    path, sequential, pipelined, batch = sys.argv[1], *map(int, sys.argv[2:5])
    client = QMPClient("bench")
    await client.connect(path)
    for _ in range(sequential // 10):
        await client.execute("query-status")
    times = []
    for _ in range(sequential):
        started = time.perf_counter()
        await client.execute("query-status")
        times.append((time.perf_counter() - started) * 1e6)
    started = time.perf_counter()
    for _ in range(pipelined // batch):
        await asyncio.gather(*(client.execute("query-status") for _ in range(batch)))
    rate = pipelined / (time.perf_counter() - started)
    await client.disconnect()
    print(json.dumps({"times": times, "rate": rate}))


asyncio.run(main())
