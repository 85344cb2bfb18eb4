//! A recorded exchange with the HTTP service, and how an answer is compared with it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::support::Answer;

/// One recorded exchange over HTTP.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) request_headers: BTreeMap<String, String>,
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Row {
    /// Compares an answer with the one that is wanted; the recorded headers with the length of the
    /// wanted body, unless there are none.
    pub(crate) fn compare(
        &self,
        status: u16,
        headers: Option<&BTreeMap<String, String>>,
        body: &str,
        answer: &Answer,
    ) -> Result<(), String> {
        const COMPARED: [&str; 6] = [
            "accept-ranges",
            "content-length",
            "content-range",
            "content-type",
            "location",
            "x-content-type-options",
        ];
        let got: BTreeMap<String, String> = answer
            .headers
            .iter()
            .filter(|(name, _)| COMPARED.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut wanted = headers.cloned().unwrap_or_else(|| got.clone());
        // The length of a body that is not sent is only known from the same request with GET.
        let unknown = self.method == "HEAD" && self.status == 404;
        let length = match unknown {
            true => got.get("content-length").cloned().unwrap_or_default(),
            false => body.len().to_string(),
        };
        if self.method != "HEAD" || unknown {
            wanted.insert("content-length".into(), length);
        }
        let wanted = (status, &wanted, body);
        let got = (answer.status, &got, answer.body.as_str());
        match wanted == got {
            true => Ok(()),
            false => Err(format!(
                "{} {} {:?}\nwanted {wanted:?}\n   got {got:?}",
                self.method, self.path, self.request_headers
            )),
        }
    }
}
