"""See a chat rendered, a text encoded, streamed token by token, and cut at a stop string.

``python examples/quickstart.py [TEXT]``
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tokenfacade import create_tokenizer

ANSWER = (
    "A router sends each request to a worker and streams its tokens back 😊, one by one.\nUser: this must not appear"
)


def main(text: str) -> None:
    tokenizer = create_tokenizer(Path(__file__).parent / "tokenizer")
    print(f"{tokenizer!r}: {tokenizer.vocab_size} tokens, ends at {tokenizer.eos_token_ids}\n")

    chat = [{"role": "user", "content": "What does a router do?"}]
    prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True)
    print(f"The prompt of a chat, {tokenizer.count_chat_tokens(chat, add_generation_prompt=True)} tokens:\n{prompt}\n")

    encoding = tokenizer.encode(text)
    print(f"{len(text)} characters are {len(encoding)} tokens:")
    print(" ".join(f"{token}={token_id}" for token, token_id in zip(encoding.tokens, encoding.ids, strict=True)), "\n")

    print("Streamed, until a stop string:")
    decoder = tokenizer.stop_decoder(["\nUser:"], stop_token_ids=tokenizer.eos_token_ids)
    for token_id in encoding:
        print(decoder.process_token(token_id).text, end="", flush=True)
        if decoder.is_stopped:
            break
        time.sleep(0.02)  # as a model would
    print(decoder.flush().text)
    print(f"\nStopped at {decoder.matched_stop!r}, after {decoder.tokens_consumed} of {len(encoding)} tokens.")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or ANSWER)
