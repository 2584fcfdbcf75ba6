"""Plain ASCII spellings of the letters and signs that labels, titles and numbers use."""

from __future__ import annotations

import re
import unicodedata

_GREEK_NAMES = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu",
    "xi", "omicron", "pi", "rho", "sigma", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
)  # fmt: skip
_GREEK = {chr(ord("α") + i): name for i, name in enumerate(_GREEK_NAMES)}
_SIGNS = {
    "±": "+/-", "×": "x", "·": "*", "−": "-", "–": "-", "—": "-", "‑": "-", "…": "...", "→": "->", "←": "<-",
    "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "∝": "~", "∞": "inf", "√": "sqrt", "∂": "d", "∇": "grad ",
    "Δ": "Delta", "Σ": "Sum", "Ω": "Omega", "Φ": "Phi", "Ψ": "Psi", "Γ": "Gamma", "Λ": "Lambda", "Θ": "Theta",
    "∫": "int ", "‘": "'", "’": "'", "“": '"', "”": '"', "‖": "||", "∈": " in ", "µ": "u", "°": " deg",
    "\u202f": "", "\u2009": "", "✓": "+", "✗": "x", "ϵ": "epsilon", "ϕ": "phi", "ℓ": "l", "′": "'", "″": "''",
}  # fmt: skip
_POWERS = str.maketrans("⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ", "-+0123456789n")
_INDICES = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


def to_ascii(text: str) -> str:
    """Spell a text in ASCII: `10⁴` becomes `10^4`, `θ` becomes `theta`; what has no spelling becomes `?`."""
    text = re.sub("[⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ]+", lambda power: "^" + power.group().translate(_POWERS), text)
    text = text.translate(_INDICES)
    text = "".join(_SIGNS.get(c, _GREEK.get(c, c)) for c in text)
    text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    text = text.replace("\N{FRACTION SLASH}", "/").replace("\N{PRIME}", "'")  # what ½ and ‴ come apart into
    return text.encode("ascii", "replace").decode("ascii")
