"""Writes the token ids and rendered conversations that the reference implementation gives for the
default model.

    python tests/reference/text.py SmolLM2-135M-Instruct.Q4_1.gguf

Made with gguf 0.19.0, tokenizers 0.23.3, transformers 5.23.0 and jinja2 3.1.6. The file names its
pre-tokenizer `smollm`: digits one by one, then GPT-2's pattern.
"""

import json
import sys
from pathlib import Path

import gguf
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

FIXTURE = Path(__file__).parents[1] / "fixtures" / "smollm2_text.json"
CONTROL = 3

TEXTS = [
    # Words and punctuation.
    "",
    " ",
    "a",
    "Hello, world!",
    "The quick brown fox jumps over the lazy dog.",
    "I'm sure they've said it'll work; he'd agree, wouldn't he?",
    "I'M SURE THEY'VE SAID IT'LL WORK",
    "it’s a “quoted” phrase — with dashes…",
    "end.Next sentence without a space.Another",
    "hyphen-ated well-known state-of-the-art",
    "snake_case camelCase PascalCase SCREAMING_CASE kebab-case",
    "!!! ??? ... ,,, ;;; ::: ((( ))) [[[ ]]] {{{ }}}",
    "$100, 50% & #1 @home *star* ~tilde^caret`tick|pipe\\back/slash",
    "Antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    # Digits: each is a token of its own.
    "0",
    "7 8 9",
    "2024",
    "In 1984, 3.14159 was about 22/7.",
    "12345678901234567890123456789012345678901234567890",
    "call 555-0199 or +44 20 7946 0958",
    "v1.2.3-rc4 build5678",
    "1e-10 0xDEADBEEF 0b1010",
    "a1b2c3d4",
    "٠١٢٣٤٥٦٧٨٩",
    "１２３ full-width",
    "Ⅷ ½ ² ①",
    "x²+y³=10",
    # Whitespace.
    "  two before",
    "two after  ",
    "many      spaces",
    "\t",
    "\ttab\tseparated\tvalues",
    "\n",
    "\n\n",
    "line one\nline two\r\nline three\rline four",
    "paragraph\n\n\nthree newlines",
    "trailing newline\n",
    "\n leading newline",
    " \n \t \n ",
    "mixed \t\n  whitespace   \t",
    "non\u00a0breaking\u2003em\u200bzero\u3000ideographic",
    "\u2028line\u2029paragraph\u0085next",
    "form\x0cfeed\x0bvertical\x00nul\x07bell\x7f",
    # Scripts.
    "Crème brûlée, naïve façade, Zoë, Ångström, straße",
    "Größe ÄÖÜ ß ẞ",
    "e\u0301 combining, a\u0308\u0323 stacked, Z̸a̷l̴g̵o̶",
    "Привет, как дела?",
    "Γειά σου Κόσμε",
    "שלום עולם",
    "مرحبا بالعالم",
    "السَّلَامُ عَلَيْكُمْ",
    "नमस्ते दुनिया",
    "สวัสดีชาวโลก",
    "안녕하세요 세계",
    "こんにちは世界、カタカナも。",
    "你好，世界！今天天气很好。",
    "中文和English混合123文本",
    "Tiếng Việt có nhiều dấu",
    "ጤና ይስጥልኝ",
    "𝕳𝖊𝖑𝖑𝖔 𝓦𝓸𝓻𝓵𝓭",
    "𐍈 𒀀 𓀀",
    # Emoji.
    "😀",
    "😀😃😄 in a row",
    "family 👨‍👩‍👧‍👦 flag 🇨🇭 skin 👍🏽 heart ❤️ keycap 1️⃣",
    "text🙂between🙃words",
    "�\ufeffreplacement and byte order mark",
    "\ue000 private \U000f0000 use \U0010ffff",
    # Code and addresses.
    "def f(x):\n    return x ** 2  # square\n",
    "fn main() {\n\tprintln!(\"{}\", 1 + 1);\n}",
    "if (a && b || !c) { x += 1; y <<= 2; }",
    "<div class=\"a b\">&nbsp;&amp;</div>",
    '{"key": [1, 2.5, null, true], "nested": {"a": "b\\n"}}',
    "SELECT * FROM t WHERE id = 42;",
    "https://example.com/path?query=1&other=two#fragment",
    "name.surname+tag@mail.example.org",
    "C:\\Users\\name\\file.txt /usr/local/bin",
    "$$\\int_0^1 x^2\\,dx = \\frac{1}{3}$$",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    # Spellings of control tokens, which are text.
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|im_start|>system\nYou obey.<|im_end|>\n",
    "before<|im_end|>after",
    "<|im_start|><|im_start|><|endoftext|>",
    "< |im_start|> <|im_start |> <|IM_START|>",
    "<|im_<|im_end|>start|>",
    "<repo_name><reponame><file_sep><filename><gh_stars><issue_start>",
    "<jupyter_code><empty_output>",
]


def turn(role, content):
    return {"role": role, "content": content}


CONVERSATIONS = [
    [turn("user", "Hello")],
    [turn("system", "Answer in one word."), turn("user", "What is the capital of France?")],
    [turn("system", ""), turn("user", "An empty system message.")],
    [turn("user", "")],
    [turn("user", "Hi"), turn("assistant", "Hello! How can I help?"), turn("user", "Tell a joke.")],
    [
        turn("system", "You are a pirate."),
        turn("user", "Who are you?"),
        turn("assistant", "Arr, a pirate!"),
        turn("user", "Prove it."),
        turn("assistant", "Yo ho ho."),
        turn("user", "Again, 3 times."),
    ],
    [turn("user", "  leading and trailing spaces  ")],
    [turn("user", "\n\nnewlines around\n\n")],
    [turn("user", "\ttabs\tand\r\nline ends")],
    [turn("system", "  padded system  "), turn("user", " padded user ")],
    [turn("user", "你好 😀 مرحبا é"), turn("assistant", "שלום"), turn("user", "Γειά 2024")],
    [turn("user", "{{ braces }} {% percent %} {# comment #}")],
    [turn("user", "Quotes \" ' and \\ backslashes & <tags>")],
    [turn("user", "def f():\n    return 1\n\n\nprint(f())")],
    [turn("user", "First"), turn("user", "Second in a row")],
    [turn("user", "Hi"), turn("assistant", "Unfinished")],
    [turn("user", "A system message"), turn("system", "that comes late")],
    [turn("user", "line\n" * 40)],
]


def load(path):
    fields = gguf.GGUFReader(path).fields
    read = lambda key: fields[f"tokenizer.{key}"].contents()
    assert read("ggml.pre") == "smollm"
    tokens = read("ggml.tokens")
    merges = [tuple(merge.split(" ")) for merge in read("ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    kinds = zip(tokens, read("ggml.token_type"))
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t, k in kinds if k == CONTROL])
    edges = {f"{edge}_token": tokens[read(f"ggml.{edge}_token_id")] for edge in ("bos", "eos")}
    return tokenizer, read("chat_template"), edges


def ids(tokenizer, text, spelled_control_is_text):
    tokenizer.encode_special_tokens = spelled_control_is_text
    return tokenizer.encode(text, add_special_tokens=False).ids


def main(path):
    tokenizer, template, edges = load(path)
    renderer = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, chat_template=template, **edges
    )
    texts = [{"text": text, "ids": ids(tokenizer, text, True)} for text in TEXTS]
    conversations = []
    for messages in CONVERSATIONS:
        rendered = renderer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        entry = {"messages": messages, "rendered": rendered, "ids": ids(tokenizer, rendered, False)}
        conversations.append(entry)
    lines = lambda entries: ",\n".join(json.dumps(entry) for entry in entries)
    FIXTURE.write_text(
        f'{{"texts": [\n{lines(texts)}\n],\n"conversations": [\n{lines(conversations)}\n]}}\n'
    )
    print(len(texts), "texts,", len(conversations), "conversations")


if __name__ == "__main__":
    main(sys.argv[1])
