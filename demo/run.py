"""Sends a few runs through an address that a LangGraph server, or the gateway before it, serves, as
any application does: with langgraph_sdk, an address and a token. One of the messages holds a secret.

    run.py URL TOKEN SECRET      prints one line: {"runs": N, "nodes": N}
"""

import asyncio
import json
import sys

from langgraph_sdk import get_client


async def main(url, token, secret):
    headers = {"authorization": f"Bearer {token}"}
    client = get_client(url=url, api_key=None, headers=headers)
    nodes = 0

    # An agent that plans, calls a tool and finishes: 3 node executions.
    thread = await client.threads.create()
    message = {"role": "user", "content": f"transfer 42 to ACC-1, my token is {secret}"}
    frames = client.runs.stream(
        thread["thread_id"], "agent", input={"messages": [message]}, stream_mode="updates"
    )
    async for frame in frames:
        nodes += len(frame.data) if frame.event == "updates" else 0

    # Three nodes at once and a subgraph: 6 node executions of its root graph. wait() streams nothing.
    await client.runs.wait(None, "fan", input={"text": "in parallel"})
    nodes += 6

    # A node that fails, behind one that does not: 2 node executions.
    await client.runs.wait(None, "boom", input={"text": f"key {secret}"}, raise_error=False)
    nodes += 2

    print(json.dumps({"runs": 3, "nodes": nodes}))


asyncio.run(main(*sys.argv[1:]))
