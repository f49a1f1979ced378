//! The error of every server function: the service's own, in a coat that server functions accept.

use domain::api::{ApiError, ErrorKind};
use leptos::server_fn::{
    codec::JsonEncoding,
    error::{FromServerFnError, ServerFnErrorErr, ServerFnUrlError},
};
use serde::{Deserialize, Serialize};

/// What a server function answers when it fails; on the wire it is the [`ApiError`] itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Failure(pub ApiError);

impl Failure {
    /// The complaint about one field of the request.
    pub fn about(&self, path: &str) -> Option<String> {
        self.0.fields.iter().find(|field| field.path == path).map(|field| field.message.clone())
    }

    /// From the `__err` of an address: a form posted without JavaScript comes back to its page with it.
    pub fn from_address(encoded: &str) -> Self {
        ServerFnUrlError::<Self>::decode_err(encoded)
    }
}

impl FromServerFnError for Failure {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(value: ServerFnErrorErr) -> Self {
        let (kind, message) = match &value {
            ServerFnErrorErr::Request(_) => (
                ErrorKind::Unreachable,
                "The server cannot be reached. Check that `anneal serve` runs, then try again.".into(),
            ),
            ServerFnErrorErr::Args(why) | ServerFnErrorErr::MissingArg(why) => {
                (ErrorKind::Invalid, format!("The request cannot be read: {why}"))
            }
            _ => (ErrorKind::Internal, format!("The server's answer cannot be read: {value}")),
        };
        Self(ApiError::new(kind, message))
    }
}
