"""Figures of an evaluation: arrays in, PNG out; one file per figure, each a pure builder and a function that saves."""

from trainables.evaluation.figures.classification_report import draw_classification_report
from trainables.evaluation.figures.confusion_matrix import draw_confusion_matrix
from trainables.evaluation.figures.evaluation import EvaluationArrays, write_figures
from trainables.evaluation.figures.most_wrong import draw_most_wrong
from trainables.evaluation.figures.precision_recall import draw_precision_recall
from trainables.evaluation.figures.probability_histograms import draw_probability_histograms
from trainables.evaluation.figures.reliability import draw_reliability
from trainables.evaluation.figures.roc import draw_roc
from trainables.evaluation.figures.training_curves import draw_training_curves

__all__ = [
    "EvaluationArrays",
    "draw_classification_report",
    "draw_confusion_matrix",
    "draw_most_wrong",
    "draw_precision_recall",
    "draw_probability_histograms",
    "draw_reliability",
    "draw_roc",
    "draw_training_curves",
    "write_figures",
]
