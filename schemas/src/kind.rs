//! What type of event a record is.

use crate::outcome::words;

words! {
    /// The type of an event: a string in Avro, an exhaustive enum here.
    Kind, UnknownKind, "event kind" {
        /// A session's first event on a gateway.
        SessionOpened = "session_opened",
        /// A session's last event on a gateway: idle, ended, or the gateway stopped.
        SessionClosed = "session_closed",
        /// A piece of a request, recorded before the upstream sees it.
        Request = "request",
        /// A piece of an answer, recorded before the client sees it.
        Response = "response",
        /// A frame of an upgraded connection, from the client.
        FrameIn = "frame_in",
        /// A frame of an upgraded connection, from the upstream.
        FrameOut = "frame_out",
        /// A request that was not let through.
        Denied = "denied",
        /// A request that waits for a person's decision.
        Held = "held",
        /// A reviewer said yes or no.
        Voted = "voted",
        /// A held request may pass, once.
        Approved = "approved",
        /// A held request was passed on, and how that came out.
        Executed = "executed",
        /// Nobody decided in time, or the approval was not used in time.
        Expired = "expired",
        /// Who asked for a held request has gone.
        Withdrawn = "withdrawn",
        /// A caller that could not be verified; beyond a rate one event with a count.
        LoginRefused = "login_refused",
        /// A LangGraph node began.
        NodeStarted = "node_started",
        /// A LangGraph node ended well.
        NodeFinished = "node_finished",
        /// A LangGraph node ended with an error.
        NodeFailed = "node_failed",
        /// A LangGraph node stopped to ask.
        NodeInterrupted = "node_interrupted",
        /// Somebody answered an interrupt.
        InterruptResumed = "interrupt_resumed",
        /// A thread's state was written from outside a run.
        StateEdited = "state_edited",
        /// Records are missing, or differ between surfaces.
        Gap = "gap",
        /// An exchange whose end nobody saw.
        Unknown = "unknown",
        /// A record that could not be decoded.
        Undecodable = "undecodable",
        /// The payload of an event that was withheld, masked after all.
        PayloadRecovered = "payload_recovered",
        /// A stage came up.
        StageStarted = "stage_started",
        /// A stage went down in order.
        StageStopped = "stage_stopped",
        /// Somebody read the trail.
        QueryExecuted = "query_executed",
        /// A producer's counts; never a row.
        Heartbeat = "heartbeat",
    }
}
