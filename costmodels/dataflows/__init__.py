"""Dataflow templates: PEs, buffer and dataflow decide, and the best mapping inside the template follows."""

from accelgym.costmodels.dataflows.model import LayerDesigns, TemplateModel
from accelgym.costmodels.dataflows.templates import TEMPLATES, Template

__all__ = ["TEMPLATES", "LayerDesigns", "Template", "TemplateModel"]
