"""What a reply cost, from a price list that ships with the installation; nothing is looked up in the network."""

from __future__ import annotations


def price(model: str, provider: str, base_url: str, tokens_in: int, tokens_out: int) -> float | None:
    """US dollars of one reply; None when the model or the server is not in the list (a local one, for instance).

    A server of one's own is priced by its address only: the same model name there says nothing about its price.
    """
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=tokens_in, output_tokens=tokens_out)
    try:
        if base_url:
            return float(calc_price(usage, model, provider_api_url=base_url).total_price)
        return float(calc_price(usage, model, provider_id=provider).total_price)
    except LookupError:
        return None


__all__ = ["price"]
