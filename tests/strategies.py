"""The strategies of the published suite, under the name by which tests know them."""

from tokenfacade.testing.strategies import FRAGMENTS as FRAGMENTS
from tokenfacade.testing.strategies import UNKNOWN_IDS as UNKNOWN_IDS
from tokenfacade.testing.strategies import cuts_of as cuts_of
from tokenfacade.testing.strategies import hard_ids as hard_ids
from tokenfacade.testing.strategies import ids_of as ids_of
from tokenfacade.testing.strategies import ids_of_byte as ids_of_byte
from tokenfacade.testing.strategies import stops_of as stops_of
from tokenfacade.testing.strategies import texts as texts
