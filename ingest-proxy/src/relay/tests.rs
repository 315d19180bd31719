use std::collections::VecDeque;
use std::sync::Mutex;

use futures::task::noop_waker;
use proptest::prelude::*;
use trailgate_schemas::PayloadState;

use super::*;
use crate::recorder::Unrecorded;
use crate::testing::{Tape, journal};

/// A body that gives what the test puts in.
#[derive(Default)]
struct Source {
    arrived: VecDeque<Bytes>,
    is_closed: bool,
    is_broken: bool,
}

type Shared = Arc<Mutex<Source>>;

struct SourceBody(Shared);

impl Body for SourceBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let mut source = self.0.lock().unwrap();
        match source.arrived.pop_front() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None if source.is_broken => Poll::Ready(Some(Err(std::io::Error::other("broke")))),
            None if source.is_closed => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

fn relay(tape: &Arc<Tape>, side: Side, cap: u64) -> (Relay<SourceBody>, Shared) {
    let journal = journal(tape);
    let source = Shared::default();
    let body = SourceBody(Arc::clone(&source));
    let media = Media::named("text/plain");
    (Relay::new(body, side, journal, media, (Head::default(), cap)), source)
}

/// What polling once gave.
#[derive(Debug, PartialEq)]
enum Gave {
    Nothing,
    Bytes(Vec<u8>),
    End,
    Cut(Cut),
}

fn poll(relay: &mut Relay<SourceBody>) -> Gave {
    let waker = noop_waker();
    match Pin::new(relay).poll_frame(&mut Context::from_waker(&waker)) {
        Poll::Pending => Gave::Nothing,
        Poll::Ready(None) => Gave::End,
        Poll::Ready(Some(Err(cut))) => Gave::Cut(cut),
        Poll::Ready(Some(Ok(frame))) => Gave::Bytes(frame.into_data().unwrap().to_vec()),
    }
}

/// What may happen, in any order.
#[derive(Clone, Debug)]
enum Happens {
    Arrives(String),
    Acknowledged,
    Polled,
}

fn happens() -> impl Strategy<Value = Vec<Happens>> {
    let text = prop_oneof![
        5 => "[a-zé🦀]{1,20}",
        1 => (60_000usize..140_000).prop_map(|n| "é".repeat(n / 2)),
    ];
    let one = prop_oneof![
        2 => text.prop_map(Happens::Arrives),
        2 => Just(Happens::Acknowledged),
        3 => Just(Happens::Polled),
    ];
    proptest::collection::vec(one, 0..40)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_only_recorded_bytes_pass_and_all_of_them_in_the_end(
        happens in happens(), is_answer: bool,
    ) {
        runtime().block_on(async {
            let tape = Arc::new(Tape::default());
            let side = if is_answer { Side::Response(200) } else { Side::Request };
            let (mut relay, source) = relay(&tape, side, u64::MAX);
            let (mut whole, mut got) = (String::new(), Vec::new());
            for one in happens {
                match one {
                    Happens::Arrives(text) => {
                        whole += &text;
                        source.lock().unwrap().arrived.push_back(Bytes::from(text));
                    }
                    Happens::Acknowledged => { tape.answer(Ok(())); }
                    Happens::Polled => match poll(&mut relay) {
                        Gave::Bytes(bytes) => got.extend(bytes),
                        Gave::Nothing => {}
                        other => panic!("{other:?} before the end"),
                    },
                }
                assert!(tape.answered_payload().as_bytes().starts_with(&got));
            }
            source.lock().unwrap().is_closed = true;
            loop {
                match poll(&mut relay) {
                    Gave::Bytes(bytes) => got.extend(bytes),
                    Gave::Nothing => assert!(tape.answer(Ok(())), "it waits for nothing"),
                    Gave::End => break,
                    Gave::Cut(cut) => panic!("{cut:?}"),
                }
                assert!(tape.answered_payload().as_bytes().starts_with(&got));
            }
            assert_eq!(got, whole.as_bytes());
            let events = tape.events();
            for (n, event) in events.iter().enumerate() {
                assert_eq!(event.stream_seq, n as i64);
                assert!(event.payload.as_ref().is_none_or(|p| p.len() <= PIECE_MAX_BYTES));
            }
            let closing = events.last().and_then(|event| event.stream_count);
            assert_eq!(closing, is_answer.then_some(events.len() as i64));
        });
    }

    #[test]
    fn when_any_record_fails_nothing_unrecorded_passes_and_the_end_is_no_clean_one(
        happens in happens(), fails_at in 0usize..6,
    ) {
        runtime().block_on(async {
            let tape = Arc::new(Tape::default());
            let (mut relay, source) = relay(&tape, Side::Response(200), u64::MAX);
            for one in happens {
                if let Happens::Arrives(text) = one {
                    source.lock().unwrap().arrived.push_back(Bytes::from(text));
                }
            }
            source.lock().unwrap().is_closed = true;
            let (mut got, mut durable) = (Vec::new(), String::new());
            let mut answered = 0;
            let cut = loop {
                match poll(&mut relay) {
                    Gave::Bytes(bytes) => got.extend(bytes),
                    Gave::End => break false,
                    Gave::Cut(cut) => break cut == Cut::Unrecorded,
                    Gave::Nothing if answered == fails_at => {
                        assert!(tape.answer(Err(Unrecorded::Unacknowledged)));
                        answered += 1;
                    }
                    Gave::Nothing => {
                        assert!(tape.answer(Ok(())));
                        answered += 1;
                        durable = tape.answered_payload();
                    }
                }
            };
            assert!(durable.as_bytes().starts_with(&got));
            assert_eq!(cut, answered > fails_at);
        });
    }
}

#[tokio::test]
async fn what_is_held_is_bounded_while_the_backbone_is_silent() {
    let tape = Arc::new(Tape::default());
    let (mut relay, source) = relay(&tape, Side::Response(200), u64::MAX);
    for _ in 0..100 {
        source.lock().unwrap().arrived.push_back(Bytes::from(vec![b'x'; 16 * 1024]));
    }
    for _ in 0..100 {
        assert_eq!(poll(&mut relay), Gave::Nothing);
    }
    let left = source.lock().unwrap().arrived.len() * 16 * 1024;
    let held = 100 * 16 * 1024 - left;
    assert!(held <= (PIECES_IN_FLIGHT_MAX + 1) * PIECE_MAX_BYTES, "{held}");
}

#[tokio::test]
async fn beyond_the_cap_bytes_pass_in_order_and_the_end_waits_for_its_record() {
    let tape = Arc::new(Tape::default());
    let (mut relay, source) = relay(&tape, Side::Response(200), 10);
    source.lock().unwrap().arrived.push_back(Bytes::from("0123456789"));
    assert_eq!(poll(&mut relay), Gave::Nothing);
    for text in ["beyond", "the cap"] {
        source.lock().unwrap().arrived.push_back(Bytes::from(text));
    }
    assert_eq!(poll(&mut relay), Gave::Nothing);
    assert!(tape.answer(Ok(())));
    let mut got = Vec::new();
    while let Gave::Bytes(bytes) = poll(&mut relay) {
        got.extend(bytes);
    }
    assert_eq!(got, b"0123456789beyondthe cap");
    source.lock().unwrap().is_closed = true;
    assert_eq!(poll(&mut relay), Gave::Nothing);
    assert!(tape.answer(Ok(())));
    assert_eq!(poll(&mut relay), Gave::End);
    let closing = tape.events().pop().unwrap();
    assert_eq!(closing.payload_state, PayloadState::BeyondCap);
    assert_eq!((closing.payload_bytes, closing.stream_count), (Some(23), Some(3)));
}

#[tokio::test]
async fn a_sender_that_breaks_off_does_not_look_like_one_that_ended() {
    let tape = Arc::new(Tape::default());
    let (mut relay, source) = relay(&tape, Side::Response(200), u64::MAX);
    source.lock().unwrap().arrived.push_back(Bytes::from("some"));
    source.lock().unwrap().is_broken = true;
    assert_eq!(poll(&mut relay), Gave::Nothing);
    assert!(tape.answer(Ok(())));
    assert_eq!(poll(&mut relay), Gave::Bytes(b"some".to_vec()));
    assert_eq!(poll(&mut relay), Gave::Cut(Cut::SenderGone));
    let closing = tape.events().pop().unwrap();
    assert_eq!(closing.reason.as_deref(), Some("upstream_broke_off"));
}
