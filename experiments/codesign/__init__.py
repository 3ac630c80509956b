"""Co-search of a distilled student and of the accelerator that runs it: accuracy against energy."""

from accelgym.experiments.codesign.space import Candidate, Machine, Student, Training
from accelgym.experiments.codesign.study import MODES, Evaluation, StudySettings, run_study

__all__ = ["MODES", "Candidate", "Evaluation", "Machine", "Student", "StudySettings", "Training", "run_study"]
