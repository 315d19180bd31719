"""Drives a LangGraph server, or the gateway before it, with langgraph_sdk, and prints what came back
as JSON lines, each as soon as it is there.

    drive.py STEPS.json      {"url", "token", "steps": [...]}

A step is {"do": ..., "as": label, ...}; every line has "step", the label or the step's index.

  thread                       makes a thread, {"thread_id"}; later steps say "thread": label
  stream     assistant, ...    streams a run; a line a frame: {"event", "data", "id"}, then {"run_id"}
  wait       assistant, ...    waits for a run: {"result"}
  background assistant, ...    creates a run and joins it: {"run_id"}, {"result"}
  join       run: label        streams a background run that is under way
  state                        {"result"}: the thread's state
  search                       {"result"}: the assistants' names
  together   steps             those steps at once
  repeat     times, step       one step so many times, one after the other

What else a step holds (input, command, stream_mode, stream_subgraphs, metadata, config, ...) goes to
the SDK's method as it is. Without "thread" a run is stateless. An error that the SDK raises is a
line {"error", "status", "body"} and ends nothing.
"""

import asyncio
import json
import sys

from langgraph_sdk import get_client

OURS = {"do", "as", "thread", "assistant", "run", "steps", "times", "step"}


class Driver:
    def __init__(self, url, token):
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self.client = get_client(url=url, api_key=None, headers=headers)
        self.threads = {}
        self.runs = {}

    async def take(self, step, label):
        label = step.get("as", label)
        try:
            await getattr(self, step["do"])(step, label)
        except Exception as error:  # whatever the SDK raises is what the test wants to see
            response = getattr(error, "response", None)
            say(
                label,
                error=type(error).__name__,
                message=str(error),
                status=getattr(response, "status_code", None),
                body=getattr(error, "body", None) or text_of(response),
            )

    async def thread(self, step, label):
        thread = await self.client.threads.create(**passed(step))
        self.threads[label] = thread["thread_id"]
        say(label, thread_id=thread["thread_id"])

    async def stream(self, step, label):
        created = {}
        async for part in self.client.runs.stream(
            self.thread_of(step),
            step["assistant"],
            on_run_created=lambda run: created.update(run),
            **passed(step),
        ):
            say(label, event=part.event, data=part.data, id=getattr(part, "id", None))
        say(label, run_id=created.get("run_id"), thread_id=created.get("thread_id"))

    async def wait(self, step, label):
        created = {}
        result = await self.client.runs.wait(
            self.thread_of(step),
            step["assistant"],
            raise_error=False,
            on_run_created=lambda run: created.update(run),
            **passed(step),
        )
        say(label, result=result, run_id=created.get("run_id"))

    async def background(self, step, label):
        thread = self.thread_of(step)
        run = await self.client.runs.create(thread, step["assistant"], **passed(step))
        self.runs[label] = (thread or run.get("thread_id"), run["run_id"])
        say(label, run_id=run["run_id"], thread_id=run.get("thread_id"))
        if thread is not None:
            say(label, result=await self.client.runs.join(thread, run["run_id"]))

    async def created(self, step, label):
        thread = self.thread_of(step)
        run = await self.client.runs.create(thread, step["assistant"], **passed(step))
        self.runs[label] = (thread, run["run_id"])
        say(label, run_id=run["run_id"])

    async def join(self, step, label):
        thread, run = self.runs[step["run"]]
        async for part in self.client.runs.join_stream(thread, run, **passed(step)):
            say(label, event=part.event, data=part.data, id=getattr(part, "id", None))

    async def state(self, step, label):
        say(label, result=await self.client.threads.get_state(self.thread_of(step)))

    async def search(self, step, label):
        found = await self.client.assistants.search(**passed(step))
        say(label, result=sorted(assistant["graph_id"] for assistant in found))

    async def together(self, step, label):
        steps = enumerate(step["steps"])
        await asyncio.gather(*(self.take(one, f"{label}.{index}") for index, one in steps))

    async def repeat(self, step, label):
        for index in range(step["times"]):
            await self.take(step["step"], f"{label}.{index}")

    def thread_of(self, step):
        return self.threads[step["thread"]] if "thread" in step else None


def passed(step):
    return {key: value for key, value in step.items() if key not in OURS}


def text_of(response):
    try:
        return response.text if response is not None else None
    except Exception:  # a streamed body that was not read
        return None


def say(label, **line):
    print(json.dumps({"step": label, **line}, default=str), flush=True)


async def main(file):
    with open(file, encoding="utf-8") as opened:
        script = json.load(opened)
    driver = Driver(script["url"], script.get("token"))
    for index, step in enumerate(script["steps"]):
        await driver.take(step, str(index))


asyncio.run(main(sys.argv[1]))
