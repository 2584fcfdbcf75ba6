"""What a fit has found so far: the question, the way there, and the ends of its repetitions."""

from __future__ import annotations

from dataclasses import dataclass, field

from tui_opt.experiments.cos_fit.fit_params import FitParams
from tui_opt.experiments.cos_fit.samples import FloatArray, Samples
from tui_opt.kernels.fitting.minibatch import Fit, Rule, Update

STOCHASTIC = ("sgd", "momentum", "adam")


@dataclass
class Answer:
    """What is known so far.

    Attributes:
        params: the question.
        samples: of the first repetition.
        fit: the same as the kernels take them.
        start: [parameters].
        target: [parameters], where the first repetition's loss is least.
        path: [steps + 1, parameters], of the first repetition.
        losses: [steps + 1], the batch's before each update, of all samples for the start and for SciPy's fits.
        per_epoch: updates in an epoch; 1 for SciPy's fits.
        ends: [repetitions, parameters].
        end_losses: [repetitions], last of each.
        reached: [repetitions], whether every parameter is where its samples' loss is least.
        evaluations: how often a batch, or all samples, were looked at.
        message: how SciPy's fit ended, in its words.
    """

    params: FitParams
    samples: Samples
    fit: Fit
    start: FloatArray
    target: FloatArray
    path: FloatArray
    losses: FloatArray
    per_epoch: int
    ends: list[FloatArray] = field(default_factory=list)
    end_losses: list[float] = field(default_factory=list)
    reached: list[bool] = field(default_factory=list)
    evaluations: int = 0
    message: str = ""

    @property
    def stochastic(self) -> bool:
        """Whether it goes by minibatches."""
        return self.params.optimizer in STOCHASTIC

    @property
    def update(self) -> Update:
        """The rule of a minibatch descent."""
        p = self.params
        rule: Rule = "momentum" if p.optimizer == "momentum" else "adam" if p.optimizer == "adam" else "sgd"
        return Update(rule, p.learning_rate, p.momentum)
