"""Dataflow templates: PEs, buffer and dataflow decide, and the best mapping inside the template follows."""

from accelgym.costmodels.dataflow_template.model import LayerDesigns, TemplateModel
from accelgym.costmodels.dataflow_template.templates import TEMPLATES, Template

__all__ = ["TEMPLATES", "LayerDesigns", "Template", "TemplateModel"]
