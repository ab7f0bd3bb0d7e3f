//! An endpoint as a reader: a scripted peer that answers with what the tiny model says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use candle_core::{DType, Device};
use model::{Control, NoDelta};
use serde_json::{Value, json};
use unlearn::evaluation::{
    DenseScorer, Endpoint, EndpointError, LocalReader, Passage, Question, ReadError, Reader as _,
    Reading, Scorer as _,
};

use crate::open;

/// Answers so many requests, each by `answer`, and gives back the requests.
fn serve(
    requests: usize,
    answer: impl Fn(&Value) -> (u16, String) + Send + 'static,
) -> (String, JoinHandle<Vec<(String, Value)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        (0..requests).map(|_| answer_one(&listener.accept().unwrap().0, &answer)).collect()
    });
    (url, served)
}

fn answer_one(stream: &TcpStream, answer: &impl Fn(&Value) -> (u16, String)) -> (String, Value) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let request: Value = serde_json::from_slice(&body).unwrap();
    let (status, text) = answer(&request);
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{text}",
        text.len()
    )
    .unwrap();
    (head, request)
}

/// What the tiny model says of every prompt, and one token more than was asked to be read. The
/// choices come in another order than the prompts.
fn tiny_answer(request: &Value) -> (u16, String) {
    let model = open("tiny-llama");
    let dense = model.dense(DType::F32, &Device::Cpu).unwrap();
    let mut scorer = DenseScorer::new(&dense, &NoDelta);
    let choice = |(index, prompt): (usize, &Value)| {
        let text = prompt.as_str().unwrap();
        let tokens = model.tokenizer().encode(text, Control::AsText).unwrap();
        let mut scores: Vec<Option<f64>> = vec![None];
        scores.extend(scorer.score(&[&tokens]).unwrap().concat().into_iter().map(Some));
        scores.push(Some(-1.0));
        // A token is a byte here; characters of these prompts are, too.
        let offsets: Vec<usize> = (0..=tokens.len()).collect();
        json!({"index": index, "text": "", "logprobs": {"token_logprobs": scores, "text_offset": offsets}})
    };
    let prompts = request["prompt"].as_array().unwrap();
    let mut choices: Vec<Value> = prompts.iter().enumerate().map(choice).collect();
    choices.reverse();
    (200, json!({ "choices": choices }).to_string())
}

fn questions() -> Vec<Question> {
    let text = |n: usize| format!("The {n} hatters met the cobbler");
    let whole = (0..9).map(|n| Question { limit: 20, ..Question::whole(&text(n)) });
    whole.chain([Question::ending("The hatter", " sang")]).collect()
}

#[test]
fn an_endpoint_reads_as_the_model_behind_it_does() {
    let (url, served) = serve(2, tiny_answer);
    let questions = questions();
    let questions: Vec<&Question> = questions.iter().collect();
    let mut done = 0;
    let mut endpoint = Endpoint::new(&format!("{url}/"), "tiny", Some("sesame"));
    let got = endpoint.read(&questions, &mut |count| done += count).unwrap();
    let model = open("tiny-llama");
    let dense = model.dense(DType::F32, &Device::Cpu).unwrap();
    let mut scorer = DenseScorer::new(&dense, &NoDelta);
    let want =
        LocalReader::new(model.tokenizer(), &mut scorer).read(&questions, &mut |_| ()).unwrap();
    assert_eq!((done, got.len()), (10, 10));
    for (got, want) in got.concat().iter().zip(want.concat()) {
        assert_eq!(got.tokens, want.tokens);
        assert!((got.sum - want.sum).abs() < 1e-3, "{} {}", got.sum, want.sum);
    }
    assert_eq!(got[9][0].tokens, 4, "the end alone, without its space");
    let requests = served.join().unwrap();
    let (head, request) = &requests[0];
    assert!(head.starts_with("POST /v1/completions "), "{head}");
    assert!(head.to_lowercase().contains("authorization: bearer sesame"), "{head}");
    assert_eq!((&request["model"], &request["echo"]), (&json!("tiny"), &json!(true)));
}

fn fault(answer: (u16, &str)) -> EndpointError {
    let (status, text) = (answer.0, answer.1.to_owned());
    let (url, served) = serve(1, move |_| (status, text.clone()));
    let question = Question::whole("secret hat");
    let result: Result<Vec<Vec<Reading>>, _> =
        Endpoint::new(&url, "tiny", None).read(&[&question], &mut |_| ());
    served.join().unwrap();
    let error = result.unwrap_err();
    if let ReadError::Endpoint(error) = error { Some(error) } else { None }.unwrap()
}

#[test]
fn an_answer_that_is_none_is_an_error_and_never_quoted() {
    assert!(matches!(fault((401, "secret")), EndpointError::Status(401)));
    assert!(matches!(fault((302, "")), EndpointError::Status(302)));
    for malformed in ["secret", r#"{"choices": "secret"}"#, "{}"] {
        let error = fault((200, malformed));
        assert!(matches!(error, EndpointError::Format { .. }), "{error}");
        assert!(!error.to_string().contains("secret"));
    }
    for silent in [
        r#"{"choices": []}"#,
        r#"{"choices": [{"index": 0, "logprobs": null}]}"#,
        r#"{"choices": [{"index": 7, "logprobs": {"token_logprobs": [], "text_offset": []}}]}"#,
        r#"{"choices": [{"index": 0, "logprobs": {"token_logprobs": [null], "text_offset": [3]}}]}"#,
        r#"{"choices": [{"index": 0, "logprobs": {"token_logprobs": [null, null], "text_offset": [0, 6]}}]}"#,
    ] {
        let error = fault((200, silent));
        assert!(matches!(error, EndpointError::Echo(0)), "{error}");
    }
}

#[test]
fn tokens_are_not_sent() {
    let passage = Passage::Tokens(vec![1, 2]);
    let question = Question { passage, ..Question::whole("") };
    let read = Endpoint::new("http://127.0.0.1:1", "tiny", None).read(&[&question], &mut |_| ());
    assert!(matches!(read, Err(ReadError::Endpoint(EndpointError::Tokens))));
}
