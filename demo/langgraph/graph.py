"""Graphs for the demo and the tests: every shape in which LangGraph runs nodes, with no model to
download and no internet. A node sleeps NODE_SLEEP seconds (0.05), so that a start comes before its
finish on any clock.

  agent   planner (a fake chat model that calls a tool) -> tools -> finish
  fan     split -> three `work` in parallel (Send) -> a subgraph of two nodes -> join
  sub     before -> a subgraph of two nodes -> after
  boom    before -> fails, and its message holds a password
  flaky   a node that fails twice and is retried
  ask     prepare -> a question to a person (interrupt) -> finish
  marked  one node that gives back its input
"""

import asyncio
import operator
import os
import time
from typing import Annotated, Any, TypedDict

from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, AnyMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode
from langgraph.types import RetryPolicy, Send, interrupt

NODE_SLEEP = float(os.environ.get("NODE_SLEEP", "0.05"))


async def pause():
    await asyncio.sleep(NODE_SLEEP)


# ---------------------------------------------------------------- agent


class AgentState(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]


@tool
def transfer_money(account: str, amount: int) -> str:
    """Transfer money to an account."""
    time.sleep(NODE_SLEEP)
    return f"sent {amount} to {account}"


async def planner(state: AgentState, config: RunnableConfig):
    await pause()
    call = {"name": "transfer_money", "args": {"account": "ACC-1", "amount": 42}, "id": "call_1"}
    answer = AIMessage(content="I will transfer now", tool_calls=[call])
    model = FakeMessagesListChatModel(responses=[answer])
    get_stream_writer()({"progress": "the planner thinks"})
    return {"messages": [await model.ainvoke(state.get("messages", []), config)]}


async def finish(state: AgentState):
    await pause()
    return {"messages": [AIMessage(content="all done")]}


agent = (
    StateGraph(AgentState)
    .add_node("planner", planner)
    .add_node("tools", ToolNode([transfer_money]))
    .add_node("finish", finish)
    .add_edge(START, "planner")
    .add_edge("planner", "tools")
    .add_edge("tools", "finish")
    .add_edge("finish", END)
    .compile(name="agent")
)


# ---------------------------------------------------------------- fan and sub


class WorkState(TypedDict, total=False):
    text: str
    n: int
    out: Annotated[list, operator.add]


async def before(state: WorkState):
    await pause()
    return {"out": ["before"]}


async def after(state: WorkState):
    await pause()
    return {"out": ["after"]}


class InnerState(TypedDict, total=False):
    text: str


async def inner_first(state: InnerState):
    await pause()
    return {"text": "first"}


async def inner_second(state: InnerState):
    await pause()
    return {"text": state.get("text", "") + " and second"}


inner = (
    StateGraph(InnerState)
    .add_node("inner_first", inner_first)
    .add_node("inner_second", inner_second)
    .add_edge(START, "inner_first")
    .add_edge("inner_first", "inner_second")
    .add_edge("inner_second", END)
    .compile()
)


async def work(state: WorkState):
    await pause()
    return {"out": [state["n"]]}


def spread(state: WorkState):
    return [Send("work", {"n": n}) for n in (1, 2, 3)]


fan = (
    StateGraph(WorkState)
    .add_node("split", before)
    .add_node("work", work)
    .add_node("inner", inner)
    .add_node("join", after)
    .add_edge(START, "split")
    .add_conditional_edges("split", spread, ["work"])
    .add_edge("work", "inner")
    .add_edge("inner", "join")
    .add_edge("join", END)
    .compile(name="fan")
)

sub = (
    StateGraph(WorkState)
    .add_node("before", before)
    .add_node("inner", inner)
    .add_node("after", after)
    .add_edge(START, "before")
    .add_edge("before", "inner")
    .add_edge("inner", "after")
    .add_edge("after", END)
    .compile(name="sub")
)


# ---------------------------------------------------------------- boom and flaky


async def fails(state: WorkState):
    await pause()
    raise ValueError("the node failed with password=hunter2-correct-horse " + state.get("text", ""))


boom = (
    StateGraph(WorkState)
    .add_node("before", before)
    .add_node("fails", fails)
    .add_edge(START, "before")
    .add_edge("before", "fails")
    .add_edge("fails", END)
    .compile(name="boom")
)

tries: dict[str, int] = {}


async def retried(state: WorkState, config: RunnableConfig):
    await pause()
    run = str(config["configurable"].get("run_id") or config.get("run_id"))
    tries[run] = tries.get(run, 0) + 1
    if tries[run] <= 2:
        raise ConnectionError("not yet")
    return {"out": [f"try {tries.pop(run)}"]}


flaky = (
    StateGraph(WorkState)
    .add_node(
        "retried",
        retried,
        retry_policy=RetryPolicy(max_attempts=4, initial_interval=0.02, jitter=False),
    )
    .add_node("after", after)
    .add_edge(START, "retried")
    .add_edge("retried", "after")
    .add_edge("after", END)
    .compile(name="flaky")
)


# ---------------------------------------------------------------- ask


class AskState(TypedDict, total=False):
    text: str
    answer: Any


async def prepare(state: AskState):
    await pause()
    return {"text": state.get("text", "") + " prepared"}


def approve(state: AskState):
    return {"answer": interrupt({"question": "may it run?", "tool": "transfer_money"})}


async def done(state: AskState):
    await pause()
    return {"text": "done"}


ask = (
    StateGraph(AskState)
    .add_node("prepare", prepare)
    .add_node("approve", approve)
    .add_node("done", done)
    .add_edge(START, "prepare")
    .add_edge("prepare", "approve")
    .add_edge("approve", "done")
    .add_edge("done", END)
    .compile(name="ask")
)


# ---------------------------------------------------------------- marked


async def gives_back(state: WorkState):
    return {"text": state.get("text", "")}


marked = (
    StateGraph(WorkState)
    .add_node("gives_back", gives_back)
    .add_edge(START, "gives_back")
    .add_edge("gives_back", END)
    .compile(name="marked")
)
