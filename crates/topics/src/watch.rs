//! Whether the backbone answers and a processor does its work, for `/readyz`.

use std::sync::Arc;

use trailgate_service::{Part, Stop};

use crate::backbone::Backbone;
use crate::limits::{WATCH_EVERY, WATCH_WAIT};
use crate::processor::ProcessorHandle;

/// Says in `part` whether the backbone answers, until `stop`: a stage that reads or writes only now
/// and then would not notice. One question that gets no answer says little: a broker may be busy.
pub async fn watch_backbone(backbone: Arc<dyn Backbone>, part: Part, stop: Stop) {
    let mut unanswered = 0;
    loop {
        match backbone.ping(WATCH_WAIT).await {
            Ok(()) => {
                unanswered = 0;
                part.ready();
            }
            Err(error) => {
                unanswered += 1;
                if unanswered > 1 {
                    part.waits("backbone_unreachable", &error);
                }
            }
        }
        tokio::select! {
            () = stop.asked() => return,
            () = tokio::time::sleep(WATCH_EVERY) => {}
        }
    }
}

/// Says in `part` whether the processor does its work, until it has ended.
pub async fn watch_processor(handle: &ProcessorHandle, part: &Part) {
    let mut status = handle.status();
    loop {
        let now = status.borrow_and_update().clone();
        match (&now.ended, now.waiting.first()) {
            (Some(_), _) => return,
            (None, Some((_, reason))) => part.not_ready(reason),
            (None, None) => part.ready(),
        }
        if status.changed().await.is_err() {
            return;
        }
    }
}
