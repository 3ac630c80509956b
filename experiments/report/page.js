// Draws what is in sight first and the rest one after the other, so that the page can be read at once.
const narrow = window.innerWidth < 700;

function fitted(layout) {
  if (!narrow) return layout;
  const rows = layout.updatemenus ? 1.12 : 1.02;
  const small = { ...layout, font: { ...layout.font, size: 10 } };
  small.margin = { ...layout.margin, l: Math.min(layout.margin.l, 64), r: 8 };
  if (layout.showlegend) small.legend = { ...layout.legend, orientation: "h", x: 0, y: rows, yanchor: "bottom" };
  return small;
}

function draw(name) {
  const { data, layout } = FIGURES[name];
  const traces = narrow ? data.map((t) => (t.type === "heatmap" ? { ...t, showscale: false } : t)) : data;
  const config = { displaylogo: false, responsive: true, displayModeBar: narrow ? false : "hover" };
  return Plotly.newPlot(name, traces, fitted(layout), config);
}

const waiting = Object.keys(FIGURES);
function next() {
  if (!waiting.length) {
    document.body.dataset.drawn = Object.keys(FIGURES).length;
    return;
  }
  const seen = waiting.findIndex((name) => {
    const box = document.getElementById(name).getBoundingClientRect();
    return box.bottom > 0 && box.top < window.innerHeight;
  });
  const [name] = waiting.splice(Math.max(seen, 0), 1);
  draw(name).then(() => setTimeout(next, 0));
}
next();
