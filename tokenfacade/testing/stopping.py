"""The laws of stopping: First to complete, Least held, Hidden and visible, Token stops, Flush and reset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tokenfacade.decoding.outputs import Stopped
from tokenfacade.testing.checks import equal, for_all, require
from tokenfacade.testing.oracles import first_stop, held_back, run_steps
from tokenfacade.testing.strategies import cuts_of, ids_of, some_ids, stops_of

if TYPE_CHECKING:
    from tokenfacade.decoding.stop import StopSequenceDecoder
    from tokenfacade.protocols import Tokenizer


def streamed(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """All the text of a stream."""
    stream = tokenizer.decode_stream()
    return "".join(run_steps(stream.step, ids)) + (stream.flush() or "")


def given_out(decoder: StopSequenceDecoder, ids: Sequence[int]) -> str:
    """The text that some ids bring out."""
    return "".join(output.text for output in decoder.process_tokens(ids))


def plain_ids_of(tokenizer: Tokenizer) -> st.SearchStrategy[list[int]]:
    """Ids without special ones: a stop string that spells one stops at the token, of which an oracle for text knows
    nothing."""
    special = set(tokenizer.special_tokens.ids.values())
    return ids_of(tokenizer).map(lambda ids: [token_id for token_id in ids if token_id not in special])


class StoppingLaws:
    """The text ends at the first stop to complete, and no more is held back than must be."""

    def test_the_stop_that_completes_first_wins_and_leaves_no_trace(self, tokenizer: Tokenizer) -> None:
        """**First to complete.** The stop that completes earliest in the text wins, the longest if two complete at the
        same place. A **hidden** one leaves no trace, and what follows is dropped."""

        @for_all(plain_ids_of(tokenizer), st.data())
        def law(ids: list[int], data: st.DataObject) -> None:
            text = streamed(tokenizer, ids)
            stops = data.draw(stops_of(text))
            decoder = tokenizer.stop_decoder(stops)
            result = given_out(decoder, ids) + decoder.flush().text
            found = first_stop(text, stops)
            expected = (text, False, None) if found is None else (text[: found[0] - len(found[1])], True, found[1])
            equal((result, decoder.is_stopped, decoder.matched_stop), expected, f"{text!r} with the stops {stops}")

        law()

    def test_the_result_does_not_depend_on_how_ids_are_cut_into_steps(self, tokenizer: Tokenizer) -> None:
        """**First to complete.** The outputs, the stop and the tokens consumed are the same however the ids are cut
        into steps."""

        @for_all(ids_of(tokenizer), st.data())
        def law(ids: list[int], data: st.DataObject) -> None:
            stops = data.draw(stops_of(streamed(tokenizer, ids)))
            one, other = tokenizer.stop_decoder(stops), tokenizer.stop_decoder(stops)
            parts = data.draw(cuts_of(ids))
            steps = [output for part in parts for output in one.process_tokens(part) if output != Stopped()]
            at_once = [output for output in other.process_tokens(ids) if output != Stopped()]
            equal(steps, at_once, f"{parts} with the stops {stops}")
            ends = [(decoder.matched_stop, decoder.tokens_consumed, decoder.flush()) for decoder in (one, other)]
            equal(ends[0], ends[1], f"the end of {parts} with the stops {stops}")

        law()

    def test_a_visible_stop_comes_out_whole(self, tokenizer: Tokenizer) -> None:
        """**Visible** stops come out whole, and nothing after them; hidden ones beside them still leave no trace."""

        @for_all(plain_ids_of(tokenizer), st.data())
        def law(ids: list[int], data: st.DataObject) -> None:
            text = streamed(tokenizer, ids)
            stops = data.draw(stops_of(text))
            visible = data.draw(st.lists(st.sampled_from(stops), unique=True)) if stops else []
            decoder = tokenizer.stop_decoder([stop for stop in stops if stop not in visible], visible_stop=visible)
            result = given_out(decoder, ids) + decoder.flush().text
            end, stop = first_stop(text, stops) or (len(text), "")
            expected = text[:end] if stop in visible else text[: end - len(stop)]
            equal(result, expected, f"{text!r} with the stops {stops}, of them visible {visible},")

        law()

    def test_what_is_held_back_is_the_longest_suffix_that_begins_a_stop(self, tokenizer: Tokenizer) -> None:
        """**Least held.** After every step, what is held back is exactly the longest suffix of the text so far that is
        a proper prefix of a stop string (plus the bytes of an unfinished character)."""

        @for_all(plain_ids_of(tokenizer), st.data())
        def law(ids: list[int], data: st.DataObject) -> None:
            stops = data.draw(stops_of(streamed(tokenizer, ids)))
            decoder, stream = tokenizer.stop_decoder(stops), tokenizer.decode_stream()
            text = out = ""
            for token_id in ids:
                out += decoder.process_token(token_id).text
                if decoder.is_stopped:
                    break
                text += stream.step(token_id) or ""
                equal(out, text.removesuffix(held_back(text, stops)), f"{text!r} so far, with the stops {stops},")

        law()

    def test_no_stops_is_the_bare_stream(self, tokenizer: Tokenizer) -> None:
        """**Least held.** Without stops every step gives out what a stream does."""

        @for_all(ids_of(tokenizer), ids_of(tokenizer))
        def law(prompt: list[int], ids: list[int]) -> None:
            decoder, stream = tokenizer.stop_decoder(prompt_ids=prompt), tokenizer.decode_stream(prompt)
            for token_id in ids:
                equal(decoder.process_token(token_id).text, stream.step(token_id) or "", f"{token_id} of {ids}")
            equal(decoder.flush().text, stream.flush() or "", f"flush after {ids}")
            equal(decoder.tokens_consumed, len(ids), "tokens_consumed")

        law()

    def test_a_token_stop_lets_out_what_was_held(self, tokenizer: Tokenizer) -> None:
        """**Token stops** first let out what was held back for a stop string, then end the text."""
        stop_id = some_ids(tokenizer, "the the")[0]

        @for_all(plain_ids_of(tokenizer), st.data())
        def law(ids: list[int], data: st.DataObject) -> None:
            before = ids[: ids.index(stop_id)] if stop_id in ids else ids
            text = streamed(tokenizer, before)
            drawn = data.draw(stops_of(streamed(tokenizer, ids)))
            stops = [stop for stop in drawn if first_stop(text, [stop]) is None]
            decoder = tokenizer.stop_decoder(stops, stop_token_ids=[stop_id])
            equal(given_out(decoder, [*before, stop_id, *ids]), text, f"{before} and the stop id {stop_id}")
            equal(decoder.matched_stop, stop_id, "matched_stop")
            equal(decoder.tokens_consumed, len(before) + 1, "tokens_consumed")

        law()

    def test_a_stop_string_that_spells_a_special_token_stops_at_the_token(self, tokenizer: Tokenizer) -> None:
        """A stop string that is the spelling of one special token is also a token stop, so it works although special
        tokens are skipped; where they have text, it is found in the text."""
        before, after = some_ids(tokenizer), some_ids(tokenizer, "the the")
        for special, special_id in list(tokenizer.special_tokens.ids.items())[:4]:
            is_spelled = tokenizer.decode([special_id], skip_special_tokens=False).strip(" ") == special
            for skip in (True, False) if is_spelled else (True,):
                ids, own = [*before, special_id, *after], tokenizer.decode([special_id], skip_special_tokens=False)
                decoder = tokenizer.stop_decoder([special], skip_special_tokens=skip)
                text = given_out(decoder, ids)
                # Where special tokens have text, that of words comes with a space before it.
                equal(text.rstrip(" "), tokenizer.decode(before).rstrip(" "), f"{ids} with the stop {special!r}")
                equal(decoder.matched_stop, special, "matched_stop")
                visible = tokenizer.stop_decoder(visible_stop=[special], skip_special_tokens=skip)
                shown = given_out(visible, ids)
                require(shown.endswith(own.strip(" ")), f"{shown!r} ends with its visible stop {special!r}")

    def test_after_a_stop_every_call_says_stopped(self, tokenizer: Tokenizer) -> None:
        """After a stop every call says `Stopped`, whatever it is given, and counts nothing."""
        ids = some_ids(tokenizer)
        decoder = tokenizer.stop_decoder(stop_token_ids=[ids[0]])
        for token_id in (*ids, -1, 2**63):
            require(decoder.process_token(token_id) is Stopped(), f"process_token({token_id}) says Stopped()")
        equal(decoder.process_tokens(ids), [Stopped()], "process_tokens after a stop")
        require(decoder.flush() is Stopped(), "flush after a stop says Stopped()")
        equal(decoder.tokens_consumed, 1, "tokens_consumed after a stop")

    def test_reset_equals_a_new_decoder(self, tokenizer: Tokenizer) -> None:
        """`reset` makes of a decoder what a new one with the same stops and prompt would be."""
        ids = some_ids(tokenizer, "the worker and the worker")
        cases: list[dict[str, Any]] = [
            {"stop": ["work"]},
            {"stop": ["work"], "min_tokens": 2},
            {"stop_token_ids": [ids[1]]},
        ]
        for options in cases:
            decoder = tokenizer.stop_decoder(**options, prompt_ids=ids[:1])
            first = [*decoder.process_tokens(ids), decoder.flush()]
            decoder.reset()
            now = (decoder.is_stopped, decoder.matched_stop, decoder.tokens_consumed)
            equal(now, (False, None, 0), f"a decoder with {options}, reset,")
            equal([*decoder.process_tokens(ids), decoder.flush()], first, f"{ids} with {options}, after a reset,")
