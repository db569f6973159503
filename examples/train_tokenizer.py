"""Train the tokenizer of the examples from the prose of this repository.

``python examples/train_tokenizer.py`` writes ``examples/tokenizer``: a byte-level BPE tokenizer with the special
tokens and the template of ChatML. It is committed, so that the examples run without it; run this again only to make
another.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

ROOT = Path(__file__).parent.parent
FOLDER = Path(__file__).parent / "tokenizer"
SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def prose() -> Iterator[str]:
    """The Markdown files, and the docstrings of the package.

    Only their ASCII: characters beyond it then take several tokens, which is what a stream has to show.
    """
    for text in _texts():
        yield text.encode("ascii", "ignore").decode()


def _texts() -> Iterator[str]:
    for page in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]:
        yield page.read_text(encoding="utf-8")
    for module in sorted(ROOT.glob("tokenfacade/**/*.py")):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield ast.get_docstring(node) or ""


def train(texts: Iterator[str]) -> Tokenizer:
    """A byte-level BPE tokenizer of 2,000 tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def main() -> None:
    tokenizer = train(prose())
    end_of_text, _, end_of_message = map(tokenizer.token_to_id, SPECIAL_TOKENS)
    FOLDER.mkdir(exist_ok=True)
    tokenizer.save(str(FOLDER / "tokenizer.json"), pretty=False)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (FOLDER / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    generation = {"eos_token_id": [end_of_message, end_of_text]}
    (FOLDER / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n", encoding="utf-8")
    print(f"{FOLDER}: {tokenizer.get_vocab_size()} tokens")


if __name__ == "__main__":
    main()
