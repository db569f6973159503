"""The oracles of the published suite, under the name by which tests know them."""

from tokenfacade.testing.oracles import first_stop as first_stop
from tokenfacade.testing.oracles import held_back as held_back
from tokenfacade.testing.oracles import run_steps as run_steps
from tokenfacade.testing.oracles import stream_text as stream_text
