"""`python -m label_maps countries`: what names of countries in a table are taken for."""

from collections import Counter

import pandas as pd

from dataset.country_names import match_countries, report
from label_maps.config import CountriesConfig
from plumbing.files import write_text


def main(config: CountriesConfig) -> None:
    """Print how many texts were matched and each that was not, and write all of them where wanted."""
    if not config.table.is_file():
        raise ValueError(f"{config.table}: no such file; name a CSV file with a column of countries")
    # 'NA' is Namibia: no text may turn into a missing value.
    try:
        table = pd.read_csv(config.table, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{config.table} is not a CSV file that can be read ({' '.join(str(error).split())})"
        ) from None
    if config.column not in table:
        raise ValueError(f"{config.table} has no column {config.column!r}; it has: {', '.join(table.columns)}")
    count = Counter(table[config.column])
    matches = match_countries(count, config.cutoff)
    if config.out:
        rows = [(m.text, count[m.text], m.alpha2, m.how, " ".join(m.candidates)) for m in matches.values()]
        listing = pd.DataFrame(rows, columns=["text", "photographs", "alpha2", "how", "candidates"])
        write_text(config.out, listing.to_csv(index=False))
    print(report(matches, count))
