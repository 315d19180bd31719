//! What agents send, made up the same at each run: chat requests with calls of tools, rows of SQL as
//! JSON, streamed completions, embeddings; a secret of some 40 bytes in each 4 KiB of text, which is
//! 1 %. And texts that are all of one kind.

use std::fmt::Write as _;

use serde_json::json;
use trailgate_redact::Shape;

/// A body and what it is made of.
pub(crate) type Body = (Shape, String);

/// Makes one body.
type Maker = fn(&mut Dice) -> String;

/// So many bytes of bodies, by kind, each kind with as many.
pub(crate) fn agent_corpus(bytes: usize) -> Vec<(&'static str, Vec<Body>)> {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let makers: [(&str, Shape, Maker); 4] = [
        ("chat", Shape::Json, Dice::chat),
        ("rows", Shape::Json, Dice::rows),
        ("events", Shape::Sse, Dice::events),
        ("embeddings", Shape::Json, Dice::embedding),
    ];
    let kind = |(name, shape, make): (&'static str, Shape, fn(&mut Dice) -> String)| {
        let (mut bodies, mut made) = (Vec::new(), 0);
        while made < bytes / 4 {
            let clear = make(&mut dice);
            let body = dice.plant(&clear);
            made += body.len();
            bodies.push((shape.clone(), body));
        }
        (name, bodies)
    };
    makers.map(kind).into()
}

/// A text of digits, of the rules' anchors, of base64, of JSON's escapes; each by its figure's name.
pub(crate) fn all_of_one_kind(anchors: &[String]) -> [(&'static str, Body); 4] {
    let mut dice = Dice(42);
    let mut words = String::new();
    while words.len() < KIND_BYTES {
        words.push_str(&anchors[dice.below(anchors.len())]);
        words.push(' ');
    }
    let digits = dice.letters("0123456789", KIND_BYTES);
    let base64 = dice.letters(&format!("{LETTERS}+/"), KIND_BYTES);
    let escapes = format!(r#"{{"a":"{}"}}"#, r#"\n\"\\\u0041\/\t"#.repeat(KIND_BYTES / 16));
    [
        ("all_digits", (Shape::Text, digits)),
        ("all_anchors", (Shape::Text, words)),
        ("all_base64", (Shape::Text, base64)),
        ("all_escapes", (Shape::Json, escapes)),
    ]
}

/// Numbers that are the same at each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    fn letters(&mut self, alphabet: &str, count: usize) -> String {
        (0..count).map(|_| alphabet.as_bytes()[self.below(alphabet.len())] as char).collect()
    }

    fn uuid(&mut self) -> String {
        let parts = [8, 4, 4, 4, 12].map(|count| self.letters("0123456789abcdef", count));
        parts.join("-")
    }

    fn prose(&mut self, words: usize) -> String {
        let all: Vec<&str> = WORDS.split_whitespace().collect();
        let mut text = String::new();
        for n in 0..words {
            let between = match self.below(40) {
                _ if n == 0 => "",
                0 => ".\n\n",
                1 => ", ",
                2 => ":\n- ",
                3 => " \"",
                4 => "\" ",
                _ => " ",
            };
            text.push_str(between);
            text.push_str(all[self.below(all.len())]);
        }
        text
    }

    fn secret(&mut self) -> String {
        match self.below(6) {
            0 => format!("ghp_{}", self.letters(LETTERS, 36)),
            1 => format!("AKIA{}", self.letters("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
            2 => format!("{}.{}@example.com", self.letters("abcdef", 6), self.letters("abcdef", 8)),
            3 => "4111 1111 1111 1111".to_owned(),
            4 => format!("password={}", self.letters(LETTERS, 16)),
            _ => format!("sk-ant-api03-{}", self.letters(LETTERS, 40)),
        }
    }

    /// A secret between two words, wherever there are two after some 3,000 bytes.
    fn plant(&mut self, body: &str) -> String {
        let is_between =
            |w: &[u8]| w[0].is_ascii_lowercase() && w[1] == b' ' && w[2].is_ascii_lowercase();
        let mut planted = String::with_capacity(body.len() + body.len() / 64);
        let mut rest = body;
        while rest.len() > 4096
            && let Some(at) = rest.as_bytes()[3000..].windows(3).position(is_between)
        {
            planted.push_str(&rest[..3001 + at]);
            planted.push(' ');
            planted.push_str(&self.secret());
            rest = &rest[3001 + at..];
        }
        planted + rest
    }

    fn chat(&mut self) -> String {
        let mut messages = vec![json!({"role": "system", "content": self.prose(180)})];
        for _ in 0..3 {
            let call = format!("call_{}", self.letters(LETTERS, 24));
            let arguments = json!({
                "query": self.prose(12), "limit": self.below(100), "thread_id": self.uuid(),
            });
            messages.extend([
                json!({"role": "user", "content": self.prose(60)}),
                json!({"role": "assistant", "content": null, "tool_calls": [{
                    "id": call, "type": "function",
                    "function": {"name": "search_documents", "arguments": arguments.to_string()},
                }]}),
                json!({"role": "tool", "tool_call_id": call, "content": self.prose(150)}),
            ]);
        }
        let metadata = json!({"run_id": self.uuid(), "thread_id": self.uuid()});
        json!({
            "model": "gpt-4o-2024-08-06", "temperature": 0.7, "max_tokens": 4096, "stream": true,
            "messages": messages, "metadata": metadata,
        })
        .to_string()
    }

    fn rows(&mut self) -> String {
        let row = |n: usize| {
            let (day, hour) = (1 + self.below(28), self.below(24));
            json!({
                "id": 100_000 + n, "name": self.prose(2), "city": "Rotterdam",
                "created_at": format!("2026-11-{day:02}T{hour:02}:15:42.123Z"),
                "status": "shipped", "amount": self.below(1_000_000) as f64 / 100.0,
                "order_id": self.uuid(), "note": self.prose(8), "active": true, "parent": null,
            })
        };
        let rows: Vec<_> = (0..60).map(row).collect();
        json!({"rows": rows, "count": 60, "sql": "select * from orders where status = 'shipped'"})
            .to_string()
    }

    fn events(&mut self) -> String {
        let (run, mut text) = (self.uuid(), String::new());
        for n in 0..40 {
            let delta = json!({"content": self.prose(3)});
            let data = json!({
                "id": format!("chatcmpl-{}", self.letters(LETTERS, 29)),
                "object": "chat.completion.chunk", "created": 1_764_000_000 + n, "model": "gpt-4o",
                "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}],
                "run_id": run,
            });
            // Writing to a string can't fail.
            let _ = write!(text, "event: messages\ndata: {data}\n\n");
        }
        text
    }

    fn embedding(&mut self) -> String {
        let numbers: Vec<f64> =
            (0..1536).map(|_| (self.below(2_000_000_000) as f64 - 1e9) / 1e10).collect();
        json!({
            "object": "list", "model": "text-embedding-3-small",
            "data": [{"object": "embedding", "index": 0, "embedding": numbers}],
        })
        .to_string()
    }
}

const KIND_BYTES: usize = 1 << 20;
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const WORDS: &str = "the of and to in is that for it as was with be by on not he his but at are this \
    have from or had an they which one you were all her she there would their we him been has when \
    who will no more if out so said what up its about into than them can only other time new some \
    could these two may first then do any like my now over such our man me even most made after \
    also did many off before must well back through years where much your way down should because \
    long each just state those people too how little good world make very year still see own work \
    get here old between both life being under three never know same last another while us might \
    great go come since against right came take used himself few house use place during high \
    without again home around small however found part thought went say general once upon school \
    every don't does got left number course until always away something fact water less public put \
    think almost hand enough far took head yet government system set better told nothing night end \
    why didn't find going look asked later point function return value agent model tool search \
    result query customer order invoice transfer account balance path token key access author \
    private please summarize following document list open questions password reset page \
    documentation https://docs.example.com/guide/intro?page=2";
