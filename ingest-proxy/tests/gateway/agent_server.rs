//! An upstream shaped like a LangGraph Agent Server: its routes, headers and frames, and one graph of
//! two nodes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};

use crate::rig::AnyBody;

pub(crate) const THREAD: &str = "01a207e7-3b33-7212-8090-ee2cd8226ffe";
pub(crate) const RUN: &str = "01a207e7-3b5e-76bb-8b64-323378dffa73";
pub(crate) const OTHER_RUN: &str = "01a207e7-3b5e-76bb-8b64-323378dffa74";
const TASKS: [&str; 2] =
    ["3a8197aa-0414-b323-fa0e-acadce833877", "3a8197aa-0414-b323-fa0e-acadce833878"];

/// A request that reached the server.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

#[derive(Clone)]
pub(crate) struct AgentServer(Arc<Shared>);

struct Shared {
    address: SocketAddr,
    got: Mutex<Vec<Got>>,
    /// Whether the second node's end never comes.
    stays_open: AtomicBool,
    /// Whether streams break in their middle, once.
    breaks: AtomicBool,
}

impl AgentServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self(Arc::new(Shared {
            address: listener.local_addr().unwrap(),
            got: Mutex::default(),
            stays_open: AtomicBool::new(false),
            breaks: AtomicBool::new(false),
        }));
        let serving = server.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        server
    }

    async fn serve(self, stream: TcpStream) {
        let answering = service_fn(move |request| {
            let server = self.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        let builder = Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(TokioIo::new(stream), answering).await;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.0.got.lock().unwrap().clone()
    }

    /// The requests whose target begins with `target`.
    pub(crate) fn got_of(&self, method: &str, target: &str) -> Vec<Got> {
        let got = self.got().into_iter();
        got.filter(|got| got.method == method && got.target.starts_with(target)).collect()
    }

    pub(crate) fn leave_open(&self) {
        self.0.stays_open.store(true, Ordering::SeqCst);
    }

    pub(crate) fn break_once(&self) {
        self.0.breaks.store(true, Ordering::SeqCst);
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<AnyBody> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
        let body = String::from_utf8_lossy(&body).into_owned();
        let target = head.uri.path_and_query().unwrap().to_string();
        let path = head.uri.path().to_owned();
        let method = head.method.as_str().to_owned();
        let got = Got { method: method.clone(), target, headers: head.headers, body: body.clone() };
        self.0.got.lock().unwrap().push(got);
        let place = format!("/threads/{THREAD}/runs/{RUN}");
        let runs = format!("/threads/{THREAD}/runs");
        match (method.as_str(), path.as_str()) {
            ("POST", p) if p == format!("{runs}/stream") => self.events(&body, Some(place)),
            ("POST", "/runs/stream") => self.events(&body, Some(format!("/runs/{RUN}"))),
            ("POST", p) if p == format!("{runs}/wait") || p == "/runs/wait" => waited(place),
            ("POST", p) if p == runs => json(&run_object(RUN, &body)),
            ("POST", "/runs/batch") => {
                let list: Vec<serde_json::Value> = serde_json::from_str(&body).unwrap();
                let ids = [RUN, OTHER_RUN];
                let runs = list.iter().zip(ids).map(|(run, id)| run_object(id, &run.to_string()));
                json(&format!("[{}]", runs.collect::<Vec<_>>().join(",")))
            }
            ("GET", p) if p == place => {
                let created = self.got().into_iter().find(|g| g.method == "POST").unwrap();
                json(&run_object(RUN, &created.body))
            }
            ("GET", p) if p.starts_with(&runs) && p.ends_with("/stream") => {
                let created = self.got().into_iter().find(|g| g.method == "POST");
                let created = created.map(|created| created.body).unwrap_or_default();
                self.events(&created, None)
            }
            ("POST", p) if p == format!("/threads/{THREAD}/state") => json("{\"checkpoint\":{}}"),
            ("DELETE", p) if p == format!("/threads/{THREAD}") => {
                Response::builder().status(204).body(full("")).unwrap()
            }
            _ => Response::builder().status(404).body(full("{}")).unwrap(),
        }
    }

    /// Frames of the modes that the run was created with.
    fn events(&self, created: &str, location: Option<String>) -> Response<AnyBody> {
        let body: serde_json::Value = serde_json::from_str(created).unwrap_or_default();
        let body = if body.is_array() { body[0].clone() } else { body };
        let modes = body["stream_mode"].to_string();
        let [first, second] = TASKS;
        let task = |id: &str, name: &str, metadata: &serde_json::Value| {
            frame(
                "tasks",
                &serde_json::json!({
                    "id": id, "name": name, "input": {"question": "why"}, "triggers": ["branch:to"],
                    "metadata": {"run_id": RUN, "graph_id": "agent", "run_attempt": 1,
                        "gw_asked": metadata["gw_asked"]},
                }),
            )
        };
        let end = |id: &str, name: &str| {
            let ended = serde_json::json!({"id": id, "name": name, "error": null,
                "result": {"answer": "because"}, "interrupts": []});
            frame("tasks", &ended)
        };
        let values = |n: u32| frame("values", &serde_json::json!({"n": n}));
        let mut frames = vec![
            frame("metadata", &serde_json::json!({"run_id": RUN, "attempt": 1})),
            values(0),
            task(first, "planner", &body["metadata"]),
            ": heartbeat\r\n\r\n".to_owned(),
            end(first, "planner"),
            values(1),
            task(second, "tools", &body["metadata"]),
        ];
        if !self.0.stays_open.load(Ordering::SeqCst) {
            frames.extend([end(second, "tools"), values(2)]);
        }
        if !modes.contains("tasks") {
            frames.retain(|frame| !frame.starts_with("event: tasks"));
        }
        let breaks = self.0.breaks.swap(false, Ordering::SeqCst);
        if breaks {
            frames.truncate(3);
        }
        let frames =
            stream::iter(frames.into_iter().enumerate()).then(move |(n, frame)| async move {
                if n > 0 {
                    tokio::time::sleep(Duration::from_millis(15)).await;
                }
                Ok(Frame::data(Bytes::from(frame)))
            });
        let broken = stream::iter(breaks.then(|| Err(std::io::Error::other("breaks here"))));
        let (sender, receiver) = futures::channel::mpsc::channel(1);
        tokio::spawn(frames.chain(broken).map(Ok).forward(sender));
        let mut answer = Response::builder().header("content-type", "text/event-stream");
        if let Some(location) = location {
            answer = answer.header("content-location", location);
        }
        answer.body(http_body_util::BodyExt::boxed(StreamBody::new(receiver))).unwrap()
    }
}

fn frame(event: &str, data: &serde_json::Value) -> String {
    format!("event: {event}\r\ndata: {data}\r\n\r\n")
}

fn waited(place: String) -> Response<AnyBody> {
    let pieces = stream::iter(["\n", "{\"answer\":\"because\"}"]).then(|piece| async move {
        tokio::time::sleep(Duration::from_millis(30)).await;
        Ok(Frame::data(Bytes::from(piece)))
    });
    let (sender, receiver) = futures::channel::mpsc::channel(1);
    tokio::spawn(pieces.map(Ok).forward(sender));
    Response::builder()
        .header("content-type", "application/json")
        .header("content-location", place)
        .body(http_body_util::BodyExt::boxed(StreamBody::new(receiver)))
        .unwrap()
}

fn run_object(id: &str, created: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(created).unwrap();
    serde_json::json!({
        "run_id": id, "thread_id": THREAD, "status": "pending", "metadata": body["metadata"],
        "kwargs": {
            "stream_mode": body["stream_mode"],
            "resumable": body.get("stream_resumable").unwrap_or(&false.into()),
            "subgraphs": body.get("stream_subgraphs").unwrap_or(&false.into()),
        },
    })
    .to_string()
}

fn json(body: &str) -> Response<AnyBody> {
    let answer = Response::builder().header("content-type", "application/json");
    answer.header("content-length", body.len()).body(full(body)).unwrap()
}

fn full(body: &str) -> AnyBody {
    Full::new(Bytes::from(body.to_owned())).map_err(|never| match never {}).boxed()
}
