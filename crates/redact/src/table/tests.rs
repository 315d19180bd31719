use crate::{Redactor, Rules, Shape, TokenKey};

fn redactor() -> Redactor {
    Redactor::new(Rules::builtin(), TokenKey::new(&[7; 32]))
}

fn masked(text: &str) -> String {
    redactor().text(text).text.into_owned()
}

/// Texts in which `hunter` and a digit are secret, and `beside` is not.
const CASES: &[&str] = &[
    "INSERT INTO users (id, password) VALUES (1, 'hunter2');",
    "insert into users(id,password,note)values(1,'hunter2','beside'),(2,'hunter3','beside 2')",
    "INSERT INTO \"app\".\"users\" (\"id\", \"password\") VALUES (1, 'hunter2')",
    "INSERT INTO `users` (`password`, `id`) VALUES ('hunter2', 'beside')",
    "INSERT INTO [dbo].[users] ([id], [password]) VALUES (1, N'hunter2')",
    "INSERT INTO users (note, password) VALUES ('it''s beside', 'hunter''2'), ('', 'hunter3')",
    "INSERT INTO users (note, password) VALUES ('it\\'s beside', 'hunter2'), ('beside', 'hunter3')",
    "INSERT INTO users (note, password) VALUES ('beside\\', 'hunter2')",
    "INSERT INTO users (id, password) VALUES (nextval('beside'), crypt('hunter2', gen_salt('bf')))",
    "INSERT INTO users (id, password) VALUES ($1, ?), (:id, %s), (2, 'hunter2') -- beside",
    "INSERT INTO users (id, password) OVERRIDING SYSTEM VALUE VALUES (1, 'hunter2') RETURNING beside",
    "REPLACE INTO users (id, password) VALUES (1, 'hunter2')",
    "INSERT INTO t (id, pin, n) VALUES (1, 48213, 77001), (2, NULL, 'beside'), (3, 'hunter2', 1)",
    "COPY public.users (id, password, note) FROM stdin;\n1\thunter2\tbeside\n2\t\\N\tbeside\n\\.\n",
    "id,password,note\n1,hunter2,beside\n2,\"hunter,\"\"3\",beside\n",
    "\"id\";\"password\"\r\n\"beside\";\"hunter2\"\r\n",
    "id\tpassword\nbeside\thunter2\n",
    "Title,User Name,Password\nbeside,ada,hunter2\n",
    " id | password | note\n----+----------+--------\n  1 | hunter2  | beside\n(1 row)\n",
    "so:\n| id | password | note |\n|----|----------|------|\n| 1 | hunter2 | beside |\n\nend",
    "so:\n| id | password |\n| --- | --- |\n| beside | hunter2 |\n",
    "+----+----------+\n| id | password |\n+----+----------+\n| 1  | hunter2  |\n+----+----------+\nbeside",
];

#[test]
fn values_are_masked_because_of_their_columns_name() {
    for text in CASES {
        let masked = masked(text);
        for secret in ["hunter", "48213"] {
            assert!(!masked.contains(secret), "{text} → {masked}");
        }
        for clear in ["beside", "77001", "it''s", "it\\'s", "$1, ?), (:id, %s)", "\\N"] {
            assert_eq!(masked.matches(clear).count(), text.matches(clear).count(), "{masked}");
        }
        assert_eq!(self::masked(&masked), masked);
    }
}

#[test]
fn the_same_holds_in_strings_of_json_and_in_words_of_a_model() {
    for text in CASES {
        let json = serde_json::json!({"n": 1, "query": text}).to_string();
        let masked = redactor().json(&json).text.into_owned();
        let value: serde_json::Value = serde_json::from_str(&masked).unwrap();
        assert_eq!(value["query"], self::masked(text), "{masked}");
    }
}

#[test]
fn what_is_no_table_passes() {
    for text in [
        "INSERT INTO users (id, password) VALUES ($1, crypt($2, gen_salt($3)))",
        "INSERT INTO users (id, note) VALUES (1, 'hunter2')",
        "INSERT INTO users (id, password) SELECT 1, a FROM b WHERE c = 'beside'",
        "cur.execute(\"INSERT INTO users (id, password) VALUES (%s, %s)\", (uid, pw))",
        "\"INSERT INTO users (id, password) VALUES ('\" + id + \"', '\" + pw + \"')\"",
        "Tell me your name, password and age\nno, never, not at all\n",
        "insert(node, password) and then values (1, 'beside')",
        "id,name\n1,hunter2\n",
        "a | token\nno table | here",
        "| a | b |\n|---|---|\n| 1 | hunter2 |",
    ] {
        assert_eq!(masked(text), text);
    }
}

#[test]
fn a_table_ends_where_its_rows_do() {
    for text in [
        "INSERT INTO t (a, password) VALUES (1, 'hunter2'); SELECT ('a', 'beside')",
        "a,password\n1,hunter2\n\nSo far, so good, beside\n",
        " a | password\n---+---\n 1 | hunter2\n\n 1 | beside\n",
        "COPY t (a, password) FROM stdin;\n1\thunter2\n\\.\nx\tbeside\n",
    ] {
        let masked = masked(text);
        assert!(masked.contains("beside") && !masked.contains("hunter"), "{masked}");
    }
}

#[test]
fn many_rows_in_any_pieces_are_masked_as_in_one() {
    let tuples: Vec<String> = (0..900)
        .map(|n| format!("({n}, 'note {n}, it''s so\\', 'hunter-{n} x', 'b {n}')"))
        .collect();
    let lines: String =
        (0..900).map(|n| format!("{n},\"a \"\"b\"\" {n}\",hunter-{n} x,b\n")).collect();
    let drawn: String =
        (0..900).map(|n| format!(" {n:>5} | a b {n} | hunter-{n} x | b\n")).collect();
    for text in [
        format!("begin; INSERT INTO t (id, note, password, x) VALUES {};", tuples.join(", ")),
        format!("id,note,password,x\n{lines}"),
        format!("so\n id | note | password | x\n---+---+----+---\n{drawn}\n"),
        format!(
            "x INSERT INTO t (id, password) VALUES (1, '{}'), (2, 'hunter')",
            "hunter x ".repeat(900)
        ),
    ] {
        let whole = masked(&text);
        assert!(!whole.contains("hunter"), "{whole}");
        assert_eq!(masked(&whole), whole);
        for step in [1, 7, 100, 4096] {
            let redactor = redactor();
            let mut stream = redactor.stream(Shape::Text);
            let mut out = String::new();
            for piece in text.as_bytes().chunks(step) {
                out.push_str(&stream.push(std::str::from_utf8(piece).unwrap()).text);
                if step > 50 {
                    stream = redactor.resume(&stream.to_bytes()).unwrap();
                }
            }
            out.push_str(&stream.finish().text);
            let same = out.bytes().zip(whole.bytes()).take_while(|(a, b)| a == b).count();
            let from = whole.floor_char_boundary(same.saturating_sub(200));
            assert!(
                out == whole,
                "in steps of {step}: {}\n {}",
                &out[from..][..400],
                &whole[from..][..400]
            );
        }
    }
}

#[test]
fn a_flush_within_rows_lets_no_secret_out() {
    let text = "id,note,password,x\n1,a b,hunter2 hunter3,b\n2,c d,hunter4,b\n";
    let sql = "INSERT INTO t (id, note, password) VALUES (1, 'a b', 'hunter2 hunter3'), (2, '', 'hunter4')";
    for text in [text, sql] {
        // Behind the names: what stands before them all is not known by half of them.
        for at in text.find("1,").unwrap()..text.len() {
            let mut stream = redactor().stream(Shape::Text);
            let mut out = stream.push(&text[..at]).text;
            out.push_str(&stream.flush_after_timeout().text);
            out.push_str(&stream.push(&text[at..]).text);
            out.push_str(&stream.finish().text);
            for secret in ["hunter2", "hunter3", "hunter4"] {
                assert!(!out.contains(secret), "{at} {:?}: {out}", &text[..at]);
            }
        }
    }
}
