"""Q-learning as a way of learning."""

from train.config import Experiment, QLearning, World
from train.config.ways import Way
from zoo.errors import UserError


def check(experiment: Experiment) -> None:
    """Raise UserError for numbers that contradict each other, before any environment is made."""
    task, data = experiment.task, experiment.data
    assert isinstance(task, QLearning)
    assert isinstance(data, World)
    require_multiples(task, data.environments)
    if task.replay < data.batch:
        raise UserError(f"task.replay {task.replay} is smaller than one batch: data.batch is {data.batch}")
    if task.replay_start < data.batch:
        raise UserError(f"task.replay_start must be at least one batch of {data.batch}, not {task.replay_start}")
    if task.newest and task.priority:
        raise UserError(
            f"task.newest learns from the newest transitions, and task.priority {task.priority:g} draws others: "
            "choose one of them"
        )
    if not all(0 <= epsilon <= 1 for epsilon in (*task.epsilon, task.eval_epsilon)):
        raise UserError(
            f"task.epsilon and task.eval_epsilon must be from 0 to 1, not {task.epsilon}, {task.eval_epsilon}"
        )


def require_multiples(task: QLearning, environments: int) -> None:
    """Raise UserError for steps or transitions that do not come in whole rounds of all environments."""
    for field in ("train_every", "replay", "replay_start"):
        value = getattr(task, field)
        if value < environments or value % environments:
            side = f"{environments} environments side by side"
            raise UserError(f"task.{field} must be a multiple of the {side}, not {value}")


Q_LEARNING = Way(
    name="q_learning",
    config=QLearning,
    setups={World: "train.tasks.q_learning.setup:assemble"},
    metrics=("return", "length"),
    best="return",
    compared_by="return",
    judged_by=("task.eval_epsilon", "task.eval_episodes", "data.time_limit", "data.sticky"),
    counts="episodes",
    check=check,
)
