//! OpenAI request, response, stream and error types.
