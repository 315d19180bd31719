"""Sends runs through the gateway until a file appears, each with a mark of its own, and keeps a line
for each: {"mark": …, "run_id": …, "whole": true}. Whole is a run whose node came back; one that broke
off before may or may not have happened, and another is sent in its place.

    load.py URL TOKEN_FILE WORKERS STOP_FILE
"""

import asyncio
import json
import sys
import uuid
import warnings
from pathlib import Path

from langgraph_sdk import get_client

# Between tries while the gateway is away.
PAUSE_S = 0.2


async def worker(url, token, stop):
    headers = {"authorization": f"Bearer {token}"}
    while not stop.exists():
        client = get_client(url=url, api_key=None, headers=headers, timeout=30)
        mark = f"mark-{uuid.uuid4()}"
        created = {}
        came_back = False
        try:
            frames = client.runs.stream(
                None,
                "marked",
                input={"text": mark},
                stream_mode="updates",
                on_run_created=lambda run: created.update(run),
            )
            async for frame in frames:
                # The gateway records a node's end before this passes.
                came_back = came_back or (frame.event == "updates" and mark in json.dumps(frame.data))
        except Exception:  # whatever a killed gateway makes of it
            came_back = False
        line = {"mark": mark, "run_id": created.get("run_id"), "whole": came_back}
        print(json.dumps(line), flush=True)
        if not came_back:
            await asyncio.sleep(PAUSE_S)


async def main(url, token_file, workers, stop):
    token = Path(token_file).read_text(encoding="utf-8").strip()
    await asyncio.gather(*(worker(url, token, Path(stop)) for _ in range(int(workers))))


# The SDK joins a run again by itself when the gateway is killed, and warns that it does.
warnings.simplefilter("ignore")
asyncio.run(main(*sys.argv[1:]))
