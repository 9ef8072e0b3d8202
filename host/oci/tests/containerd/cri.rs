//! Kubernetes' interface to containerd, as far as the tests speak it: gRPC over the node's socket.
//! Numbers of fields and methods are those of `runtime.v1` in Kubernetes' `cri-api`.

use prost::Message;
use std::path::Path;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;

/// A connection to the runtime service.
pub struct Cri {
    runtime: Runtime,
    requests: h2::client::SendRequest<bytes::Bytes>,
}

/// The state of a container that has ended.
const EXITED: i32 = 2;

/// The namespace of the node, for the network of a pod: so it needs no network plugin.
const OF_NODE: i32 = 2;

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    uid: String,
    #[prost(string, tag = "3")]
    namespace: String,
}

#[derive(Clone, PartialEq, Message)]
struct NamespaceOptions {
    #[prost(int32, tag = "1")]
    network: i32,
}

#[derive(Clone, PartialEq, Message)]
struct PodSecurity {
    #[prost(message, tag = "1")]
    namespaces: Option<NamespaceOptions>,
}

#[derive(Clone, PartialEq, Message)]
struct LinuxPod {
    #[prost(message, tag = "2")]
    security: Option<PodSecurity>,
}

/// The configuration of a pod.
#[derive(Clone, PartialEq, Message)]
pub struct Pod {
    #[prost(message, tag = "1")]
    metadata: Option<Metadata>,
    #[prost(string, tag = "3")]
    log_folder: String,
    #[prost(map = "string, string", tag = "7")]
    annotations: std::collections::HashMap<String, String>,
    #[prost(message, tag = "8")]
    linux: Option<LinuxPod>,
}

#[derive(Clone, PartialEq, Message)]
struct RunPod {
    #[prost(message, tag = "1")]
    pod: Option<Pod>,
    #[prost(string, tag = "2")]
    handler: String,
}

/// A message with an identifier, and in some requests a time in seconds.
#[derive(Clone, PartialEq, Message)]
struct Id {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(int64, tag = "2")]
    timeout: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Name {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Variable {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Container {
    #[prost(message, tag = "1")]
    metadata: Option<Name>,
    #[prost(message, tag = "2")]
    image: Option<Name>,
    #[prost(string, repeated, tag = "3")]
    command: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    arguments: Vec<String>,
    #[prost(message, repeated, tag = "6")]
    environment: Vec<Variable>,
    #[prost(string, tag = "11")]
    log: String,
}

#[derive(Clone, PartialEq, Message)]
struct CreateContainer {
    #[prost(string, tag = "1")]
    pod_id: String,
    #[prost(message, tag = "2")]
    container: Option<Container>,
    #[prost(message, tag = "3")]
    pod: Option<Pod>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "3")]
    state: i32,
    #[prost(int32, tag = "7")]
    exit_code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct StatusAnswer {
    #[prost(message, tag = "1")]
    status: Option<Status>,
}

/// A pod that runs, with its configuration.
pub struct Running {
    id: String,
    pod: Pod,
}

impl Cri {
    pub fn connect(socket: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let requests = runtime.block_on(async {
            let stream = UnixStream::connect(socket).await.unwrap();
            let (requests, connection) = h2::client::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            requests
        });
        Cri { runtime, requests }
    }

    /// Calls a method, and returns its answer or the message of its error.
    fn call<A: Message + Default>(
        &self,
        method: &str,
        request: &impl Message,
    ) -> Result<A, String> {
        let mut body = vec![0];
        body.extend((request.encoded_len() as u32).to_be_bytes());
        request.encode(&mut body).unwrap();
        self.runtime.block_on(async {
            let requests = self.requests.clone();
            let call =
                http::Request::post(format!("http://node/runtime.v1.RuntimeService/{method}"))
                    .header("content-type", "application/grpc")
                    .header("te", "trailers")
                    .body(())
                    .unwrap();
            let (answer, mut stream) =
                requests.ready().await.unwrap().send_request(call, false).unwrap();
            stream.send_data(body.into(), true).unwrap();
            let (head, mut body) = answer.await.unwrap().into_parts();
            let mut bytes = Vec::new();
            while let Some(piece) = body.data().await {
                let piece = piece.unwrap();
                body.flow_control().release_capacity(piece.len()).unwrap();
                bytes.extend(piece);
            }
            // An error without an answer has its status in front.
            let trailers = body.trailers().await.unwrap().unwrap_or(head.headers);
            match trailers.get("grpc-status").map(http::HeaderValue::as_bytes) {
                Some(b"0") => Ok(A::decode(&bytes[5..]).unwrap()),
                _ => Err(format!("{:?}", trailers.get("grpc-message"))),
            }
        })
    }

    /// Starts a pod with the RuntimeClass that has this handler.
    pub fn run_pod(
        &self,
        name: &str,
        handler: &str,
        annotations: &[(&str, &str)],
        logs: &Path,
    ) -> Result<Running, String> {
        let security = PodSecurity { namespaces: Some(NamespaceOptions { network: OF_NODE }) };
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let pod = Pod {
            metadata: Some(Metadata {
                name: name.into(),
                uid: name.into(),
                namespace: "default".into(),
            }),
            log_folder: logs.display().to_string(),
            annotations: annotations.iter().map(own).collect(),
            linux: Some(LinuxPod { security: Some(security) }),
        };
        let request = RunPod { pod: Some(pod.clone()), handler: handler.into() };
        let Id { id, .. } = self.call("RunPodSandbox", &request)?;
        Ok(Running { id, pod })
    }

    /// Runs a container of the pod. Its output goes to the file `NAME` in the folder of logs.
    pub fn start(
        &self,
        pod: &Running,
        name: &str,
        image: &str,
        command: &[&str],
        arguments: &[&str],
    ) -> Result<String, String> {
        let all = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let container = Container {
            metadata: Some(Name { name: name.into() }),
            image: Some(Name { name: image.into() }),
            command: all(command),
            arguments: all(arguments),
            environment: vec![Variable { name: "POD".into(), value: "yes".into() }],
            log: name.into(),
        };
        let request = CreateContainer {
            pod_id: pod.id.clone(),
            container: Some(container),
            pod: Some(pod.pod.clone()),
        };
        let Id { id, .. } = self.call("CreateContainer", &request)?;
        self.call::<Id>("StartContainer", &Id { id: id.clone(), timeout: 0 })?;
        Ok(id)
    }

    /// Returns the exit code of a container, if it has ended.
    pub fn exit_code(&self, id: &str) -> Option<i32> {
        let request = Id { id: id.into(), timeout: 0 };
        let StatusAnswer { status } = self.call("ContainerStatus", &request).unwrap();
        status.filter(|status| status.state == EXITED).map(|status| status.exit_code)
    }

    /// Stops a container: SIGTERM, and SIGKILL after some seconds.
    pub fn stop(&self, id: &str) {
        self.call::<Id>("StopContainer", &Id { id: id.into(), timeout: 30 }).unwrap();
    }

    /// Stops and removes a pod.
    pub fn remove(&self, pod: Running) {
        let request = Id { id: pod.id, timeout: 0 };
        self.call::<Id>("StopPodSandbox", &request).unwrap();
        self.call::<Id>("RemovePodSandbox", &request).unwrap();
    }
}
