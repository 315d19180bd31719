//! Reading WebSocket frames as they go by (RFC 6455): just enough to know what they say. Nothing is
//! assembled and nothing is changed; what goes on are the bytes that came.
//!
//! What is no frame ends the connection: bytes that can't be read can't be recorded as what they
//! say.

/// One direction of a WebSocket.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    state: State,
    /// What data frames carry just now: a message's first frame says it, the others go on with it.
    message: Option<Said>,
}

/// What a run of bytes says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Said {
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// A run of payload bytes, unmasked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) said: Said,
    pub(crate) bytes: Vec<u8>,
    /// Where, in the raw bytes, the last few bytes of this run stood: as many as a character can
    /// leave behind when it is cut.
    pub(crate) tail: Vec<usize>,
    /// Where frames begin, in payload bytes.
    pub(crate) frames: Vec<usize>,
}

/// What came is no WebSocket frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoFrame;

#[derive(Debug)]
enum State {
    Head { bytes: [u8; 14], filled: usize },
    Payload { said: Said, left: u64, mask: Option<[u8; 4]>, at: usize, is_new: bool },
}

impl Default for State {
    fn default() -> Self {
        Self::Head { bytes: [0; 14], filled: 0 }
    }
}

impl FrameReader {
    /// Reads on, and appends what it says to `runs`; a run that goes on is lengthened.
    pub(crate) fn read(&mut self, raw: &[u8], runs: &mut Vec<Run>) -> Result<(), NoFrame> {
        let mut at = 0;
        while at < raw.len() {
            match &mut self.state {
                State::Head { bytes, filled } => {
                    bytes[*filled] = raw[at];
                    *filled += 1;
                    at += 1;
                    if let Some(head) = head(&bytes[..*filled], &mut self.message)? {
                        self.state = head;
                        self.skip_empty(runs);
                    }
                }
                State::Payload { said, left, mask, at: place, is_new } => {
                    let room = usize::try_from(*left).unwrap_or(usize::MAX).min(raw.len() - at);
                    let run = run(runs, *said, std::mem::take(is_new));
                    let begin = run.bytes.len();
                    run.bytes.extend_from_slice(&raw[at..at + room]);
                    unmask(&mut run.bytes[begin..], mask.unwrap_or_default(), *place);
                    *place = (*place + room) % 4;
                    *left -= room as u64;
                    run.tail.extend(at + room.saturating_sub(TAIL)..at + room);
                    run.tail.drain(..run.tail.len().saturating_sub(TAIL));
                    at += room;
                    if *left == 0 {
                        self.state = State::default();
                    }
                }
            }
        }
        Ok(())
    }

    /// A frame without payload is over with its head; a close or ping is told all the same.
    fn skip_empty(&mut self, runs: &mut Vec<Run>) {
        if let State::Payload { said, left: 0, .. } = self.state {
            if !matches!(said, Said::Text | Said::Binary) {
                run(runs, said, true);
            }
            self.state = State::default();
        }
    }
}

impl Said {
    /// How a record names it.
    pub(crate) const fn media(self) -> &'static str {
        match self {
            Self::Text => "websocket/text",
            Self::Binary => "websocket/binary",
            Self::Close => "websocket/close",
            Self::Ping => "websocket/ping",
            Self::Pong => "websocket/pong",
        }
    }
}

/// Undoes a mask, of which the first byte of `bytes` meets that at `place`.
fn unmask(bytes: &mut [u8], mask: [u8; 4], place: usize) {
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte ^= mask[(place + n) % 4];
    }
}

/// The run that goes on with `said`, or a new one.
fn run(runs: &mut Vec<Run>, said: Said, is_new: bool) -> &mut Run {
    if runs.last().is_none_or(|last| last.said != said) {
        runs.push(Run { said, bytes: Vec::new(), tail: Vec::new(), frames: Vec::new() });
    }
    let last = runs.len() - 1;
    let run = &mut runs[last];
    if is_new {
        run.frames.push(run.bytes.len());
    }
    run
}

/// What a whole head says; none if it is not whole.
fn head(bytes: &[u8], message: &mut Option<Said>) -> Result<Option<State>, NoFrame> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    let (length, rest) = match second & 0x7f {
        126 => match rest {
            [a, b, rest @ ..] => (u64::from(u16::from_be_bytes([*a, *b])), rest),
            _ => return Ok(None),
        },
        127 => match rest {
            [a, b, c, d, e, f, g, h, rest @ ..] => {
                (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), rest)
            }
            _ => return Ok(None),
        },
        short => (u64::from(short), rest),
    };
    let mask = match (second & 0x80 != 0, rest) {
        (false, _) => None,
        (true, [a, b, c, d]) => Some([*a, *b, *c, *d]),
        (true, _) => return Ok(None),
    };
    let said = said(*first, length, message)?;
    Ok(Some(State::Payload { said, left: length, mask, at: 0, is_new: true }))
}

fn said(first: u8, length: u64, message: &mut Option<Said>) -> Result<Said, NoFrame> {
    let (is_final, reserved, opcode) = (first & 0x80 != 0, first & 0x70, first & 0x0f);
    // A reserved bit would mean an extension, and none was offered.
    if reserved != 0 || length > i64::MAX as u64 {
        return Err(NoFrame);
    }
    let said = match (opcode, *message) {
        (0, Some(said)) => said,
        (1, None) => Said::Text,
        (2, None) => Said::Binary,
        (8..=10, _) if !is_final || length > 125 => return Err(NoFrame),
        (8, _) => return Ok(Said::Close),
        (9, _) => return Ok(Said::Ping),
        (10, _) => return Ok(Said::Pong),
        _ => return Err(NoFrame),
    };
    *message = if is_final { None } else { Some(said) };
    Ok(said)
}

/// A character has at most four bytes, so its beginning at most three.
const TAIL: usize = 3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
        let bit = if mask.is_some() { 0x80 } else { 0 };
        let mut out = vec![first];
        match payload.len() {
            n @ 0..126 => out.push(bit | n as u8),
            n @ 126..65_536 => {
                out.push(bit | 126);
                out.extend_from_slice(&(n as u16).to_be_bytes());
            }
            n => {
                out.push(bit | 127);
                out.extend_from_slice(&(n as u64).to_be_bytes());
            }
        }
        out.extend(mask.iter().flatten());
        out.extend(payload.iter().enumerate().map(|(n, b)| b ^ mask.map_or(0, |m| m[n % 4])));
        out
    }

    fn texts(runs: &[Run]) -> Vec<(Said, Vec<u8>)> {
        runs.iter().map(|run| (run.said, run.bytes.clone())).collect()
    }

    #[test]
    fn a_masked_message_in_two_frames_with_a_ping_between_is_read() {
        let raw = [
            frame(0x01, b"hel", Some([1, 2, 3, 4])),
            frame(0x89, b"?", Some([9, 9, 9, 9])),
            frame(0x80, b"lo", Some([5, 6, 7, 8])),
        ]
        .concat();
        let mut runs = Vec::new();
        FrameReader::default().read(&raw, &mut runs).unwrap();
        let expected = [
            (Said::Text, b"hel".to_vec()),
            (Said::Ping, b"?".to_vec()),
            (Said::Text, b"lo".to_vec()),
        ];
        assert_eq!(texts(&runs), expected);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let cases = [
            frame(0xc1, b"compressed", None),
            frame(0x80, b"goes on with nothing", None),
            frame(0x83, b"no such opcode", None),
            frame(0x09, b"a ping in parts", None),
            frame(0x89, &[0; 126], None),
            [frame(0x01, b"a", None), frame(0x81, b"b", None)].concat(),
        ];
        for raw in cases {
            assert_eq!(FrameReader::default().read(&raw, &mut Vec::new()), Err(NoFrame));
        }
    }

    proptest! {
        #[test]
        fn frames_are_read_alike_however_they_are_cut(
            messages in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..300), any::<Option<[u8; 4]>>()), 0..6),
            step in 1usize..50,
        ) {
            let mut raw = Vec::new();
            let mut expected: Vec<u8> = Vec::new();
            for (is_text, payload, mask) in &messages {
                raw.extend(frame(if *is_text { 0x81 } else { 0x82 }, payload, *mask));
                expected.extend(payload);
            }
            let mut reader = FrameReader::default();
            let mut read = Vec::new();
            for chunk in raw.chunks(step) {
                let mut runs = Vec::new();
                reader.read(chunk, &mut runs).unwrap();
                for run in runs {
                    prop_assert!(run.tail.iter().all(|at| *at < chunk.len()));
                    read.extend(run.bytes);
                }
            }
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn no_bytes_panic(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = FrameReader::default().read(&raw, &mut Vec::new());
        }
    }
}
