//! Where prompts become tokens: on the worker if they are short.

use actix_web::web;

use crate::error::ApiError;

/// The most bytes that are read on the worker. The default model's template and tokenizer take
/// 0.2 ms for as many; to hand a few words to another thread and wait for it takes longer.
const SHORT_BYTES: usize = 512;

/// Does `work`, which reads so many bytes of text; off the worker unless they are few.
///
/// # Errors
/// If the other thread fails.
pub(super) async fn read<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    if bytes <= SHORT_BYTES {
        return Ok(work());
    }
    web::block(work).await.map_err(ApiError::internal)
}
