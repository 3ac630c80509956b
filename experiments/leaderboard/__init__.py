"""The leaderboard: designs are submitted, evaluated again and ranked by their regret to what is proved."""

from accelgym.experiments.leaderboard.board import Board, BoardRow, build_board
from accelgym.experiments.leaderboard.checking import Check, check_submission
from accelgym.experiments.leaderboard.packing import pack_runs
from accelgym.experiments.leaderboard.publish import write_board
from accelgym.experiments.leaderboard.submission import Submission, read_submission, write_submission

__all__ = [
    "Board",
    "BoardRow",
    "Check",
    "Submission",
    "build_board",
    "check_submission",
    "pack_runs",
    "read_submission",
    "write_board",
    "write_submission",
]
