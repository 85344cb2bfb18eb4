//! Run id: part of every resource name of a run, and of its folder.

/// Returns six random hexadecimal digits, which are part of every resource name of a run.
pub(super) fn new_run_id() -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    id.chars().take(6).collect()
}
