//! Whether the backbone answers, for `/readyz`: a stage that reads or writes only now and then would
//! not notice.

use std::sync::Arc;

use trailgate_service::{Part, Stop};

use crate::backbone::Backbone;
use crate::limits::{WATCH_EVERY, WATCH_WAIT};

/// Says in `part` whether the backbone answers, until `stop`. One question that gets no answer says
/// little: a broker may be busy.
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
