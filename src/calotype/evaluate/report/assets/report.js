"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

// Colours that stay apart for colour-blind readers (Okabe and Ito 2008): ours, then rivals; published curves are grey.
const OWN = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"];
const RIVALS = ["#E69F00", "#8C6BB1", "#56B4E9", "#B58900", "#7A9A01", "#C44E52", "#64B5CD", "#937860", "#4C9F70", "#A05195"];
const GREY = "#8a949c";
const CONFIG = { displayModeBar: false, responsive: true };
const FONT = { family: 'system-ui, "Segoe UI", Roboto, sans-serif', size: 13, color: "#1c2024" };

function option(select, value, label) {
  const entry = document.createElement("option");
  entry.value = value;
  entry.textContent = label;
  select.append(entry);
}

function layout(x, y, wide = true) {
  const axis = { gridcolor: "#e6eaed", linecolor: "#aab4bb", zeroline: false, automargin: true };
  return {
    font: FONT, margin: { l: 64, r: 12, t: 12, b: 52 }, hovermode: "closest", plot_bgcolor: "#fff", paper_bgcolor: "#fff",
    xaxis: { ...axis, ...x }, yaxis: { ...axis, ...y }, legend: wide ? { font: { size: 12 }, groupclick: "toggleitem" } : { orientation: "h", y: -0.22, font: { size: 11 } },
  };
}

// --- curves -----------------------------------------------------------------------------------------------------------

// MS-SSIM crowds below 1; in decibels, as papers draw it, curves come apart.
const SHOWN = { ms_ssim: { title: "MS-SSIM, −10 log₁₀(1 − x) in dB", value: (x) => -10 * Math.log10(1 - x) } };
const metricTitle = (name) => SHOWN[name]?.title ?? data.metrics[name]?.title ?? name;
const metricValue = (name, x) => (SHOWN[name] ? SHOWN[name].value(x) : x);

function drawCurves(chart, metric) {
  const wide = chart.clientWidth > 760; // else the legend goes below, without the curves that are not shown
  const { curves, published } = data.sets[chart.dataset.set];
  let own = 0, rivals = 0;
  const traces = curves.map((curve) => {
    const points = curve.points.filter((point) => metric in point.metrics);
    const color = curve.own ? OWN[own++ % OWN.length] : RIVALS[rivals++ % RIVALS.length];
    return {
      name: curve.own ? `<b>${escaped(curve.title)}</b>` : escaped(curve.title),
      x: points.map((point) => point.bpp),
      y: points.map((point) => metricValue(metric, point.metrics[metric])),
      text: points.map((point) => `quality ${point.quality}, ${point.metrics[metric].toFixed(4)}`),
      mode: "lines+markers", line: { color, width: curve.own ? 3.5 : 1.6 }, marker: { size: curve.own ? 7 : 5 },
      hovertemplate: "%{fullData.name}<br>%{text}<br>%{x:.4f} bpp<extra></extra>",
    };
  });
  for (const entry of published) {
    const points = entry.curves[metric];
    if (!points || !(entry.shown || wide)) continue;
    traces.push({
      name: escaped(entry.name), x: points.map((point) => point[0]), y: points.map((point) => metricValue(metric, point[1])),
      legendgroup: "published", legendgrouptitle: { text: "published, not run here" },
      mode: "lines", line: { color: GREY, width: 1.4, dash: "dash" }, visible: entry.shown ? true : "legendonly",
      hovertemplate: "%{fullData.name}<br>%{x:.4f} bpp, %{y:.3f}<extra></extra>",
    });
  }
  const widest = Math.min(2, Math.max(...traces.flatMap((trace) => trace.x)));
  const inside = traces.filter((trace) => trace.visible !== "legendonly")
    .flatMap((trace) => trace.y.filter((_, k) => trace.x[k] <= widest && Number.isFinite(trace.y[k])));
  const low = Math.min(...inside), high = Math.max(...inside), margin = 0.04 * (high - low);
  Plotly.react(chart, traces, layout(
    { title: { text: "bits per pixel, whole file" }, range: [0, widest * 1.02] },
    { title: { text: metricTitle(metric) }, range: [low - margin, high + margin] },
    wide,
  ), CONFIG);
}

const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");

for (const chart of document.querySelectorAll(".curves")) {
  const select = document.querySelector(`select.metric[data-set="${CSS.escape(chart.dataset.set)}"]`);
  const points = data.sets[chart.dataset.set].curves.flatMap((curve) => curve.points);
  for (const name of Object.keys(data.metrics)) {
    if (points.some((point) => name in point.metrics)) option(select, name, metricTitle(name));
  }
  select.addEventListener("change", () => drawCurves(chart, select.value));
  drawCurves(chart, select.value);
}

// --- speed ------------------------------------------------------------------------------------------------------------

function drawSpeed() {
  const clock = byId("clock").value, cores = Number(byId("cores").value);
  const traces = data.speeds.filter((speed) => speed.cores === cores).map((speed, k) => ({
    name: escaped(speed.title), x: [speed.bpp], y: [speed[clock]], mode: "markers+text", text: [escaped(speed.codec)],
    textposition: "top center", marker: { size: speed.own ? 15 : 10, color: speed.own ? OWN[0] : RIVALS[k % RIVALS.length] },
    hovertemplate: "%{fullData.name}<br>%{x:.3f} bpp<br>%{y:.2f} megapixels a second<extra></extra>", showlegend: false,
  }));
  Plotly.react(byId("speed-chart"), traces, layout(
    { title: { text: "bits per pixel" }, rangemode: "tozero" },
    { title: { text: "megapixels a second" }, type: "log", dtick: "D2" },
  ), CONFIG);
}

if (data.speeds.length) {
  for (const cores of new Set(data.speeds.map((speed) => speed.cores))) option(byId("cores"), cores, cores);
  byId("cores").selectedIndex = byId("cores").length - 1;
  for (const id of ["clock", "cores"]) byId(id).addEventListener("change", drawSpeed);
  drawSpeed();
}

// --- viewer -----------------------------------------------------------------------------------------------------------

function startViewer() {
  const stage = byId("stage"), canvas = byId("canvas"), divider = byId("divider"), split = byId("split");
  const ZOOMS = [1, 1.5, 2, 3, 4, 6, 8];
  const SIDES = ["left", "right"];
  let zoom = 1;

  const image = () => data.images[byId("image").value];
  const pointsOf = (codec) => image().shown.filter((one) => one.codec === codec);
  const entry = (side) => pointsOf(byId(side).value)[byId(`${side}-point`).value];

  // The codecs of an image; a side keeps its codec and quality where the image has them.
  function openImage() {
    const codecs = [...new Set(image().shown.map((one) => one.codec))];
    for (const [k, side] of SIDES.entries()) {
      const codec = byId(side).value, quality = byId(`${side}-point`).selectedOptions[0]?.dataset.quality;
      byId(side).replaceChildren();
      for (const name of codecs) option(byId(side), name, name);
      byId(side).value = codecs.includes(codec) ? codec : codecs[k + 1] ?? "original";
      listPoints(side, data.at, quality);
    }
    show();
  }

  // All qualities of a codec; chosen is the one asked for, else the one whose rate is nearest.
  function listPoints(side, rate, quality) {
    const select = byId(`${side}-point`), points = pointsOf(byId(side).value);
    const away = (one) => (String(one.quality) === quality ? -1 : Math.abs(Math.log(one.bpp / rate)));
    select.replaceChildren();
    points.forEach((one, k) => {
      option(select, k, one.quality === null ? "no loss" : `quality ${one.quality}: ${one.bpp.toFixed(3)} bpp`);
      select.lastChild.dataset.quality = one.quality;
    });
    select.disabled = points.length < 2;
    select.value = points.reduce((best, one, k) => (away(one) < away(points[best]) ? k : best), 0);
  }

  // Beside another codec, one begins at the rate of the other.
  function changeCodec(side, other) {
    listPoints(side, entry(other).bpp ?? data.at);
    show();
  }

  function show() {
    for (const side of SIDES) {
      const one = entry(side);
      byId(`${side}-image`).src = one.file;
      byId(`${side}-image`).alt = `${image().name}, ${one.title}`;
      const caption = byId(`${side}-caption`), name = document.createElement("strong");
      name.textContent = one.title;
      caption.replaceChildren(name, one.quality === null ? "not compressed" :
        `quality ${one.quality}, ${one.bytes.toLocaleString("en")} bytes, ${one.bpp.toFixed(3)} bpp` +
        (one.psnr === null ? "" : `, ${one.psnr.toFixed(2)} dB`));
    }
    place();
  }

  // The divider stands still in the window while the zoomed image moves below it.
  function place() {
    const { width, height } = image();
    const fitting = Math.min(stage.clientWidth, width * Math.max(1, Math.floor(stage.clientWidth / width)),
      (0.8 * window.innerHeight * width) / height);
    canvas.style.width = `${fitting * zoom}px`;
    canvas.style.height = `${(fitting * zoom * height) / width}px`;
    stage.classList.toggle("zoomed", zoom > 1);
    canvas.classList.toggle("pixelated", zoom >= 2);
    byId("zoom").textContent = `${zoom}×`;
    const visible = Math.min(stage.clientWidth, canvas.clientWidth);
    const left = (stage.clientWidth - visible) / 2, at = (visible * split.value) / 100;
    byId("left-image").style.clipPath = `inset(0 ${canvas.clientWidth - stage.scrollLeft - at}px 0 0)`;
    divider.style.left = `${stage.offsetLeft + left + at - 1}px`;
    divider.style.top = `${stage.offsetTop}px`;
    divider.style.height = `${Math.min(stage.clientHeight, canvas.clientHeight)}px`;
  }

  function zoomTo(next, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
    const ratio = next / zoom, left = (stage.scrollLeft + x) * ratio - x, top = (stage.scrollTop + y) * ratio - y;
    zoom = next;
    place();
    stage.scrollTo(left, top);
    place();
  }

  const step = (by) => ZOOMS[Math.min(ZOOMS.length - 1, Math.max(0, ZOOMS.indexOf(zoom) + by))];

  let drag = null;
  stage.addEventListener("pointerdown", (event) => {
    const visible = Math.min(stage.clientWidth, canvas.clientWidth), box = stage.getBoundingClientRect();
    const x = event.clientX - box.left - (stage.clientWidth - visible) / 2;
    const slides = zoom === 1 || Math.abs(x - (visible * split.value) / 100) < 24;
    drag = { slides, x: event.clientX, y: event.clientY, left: stage.scrollLeft, top: stage.scrollTop };
    stage.setPointerCapture(event.pointerId);
    if (slides) slideTo(event);
  });
  stage.addEventListener("pointermove", (event) => {
    if (drag?.slides) slideTo(event);
    else if (drag) stage.scrollTo(drag.left + drag.x - event.clientX, drag.top + drag.y - event.clientY);
  });
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => { drag = null; });

  function slideTo(event) {
    const visible = Math.min(stage.clientWidth, canvas.clientWidth), box = stage.getBoundingClientRect();
    split.value = (100 * (event.clientX - box.left - (stage.clientWidth - visible) / 2)) / visible;
    place();
  }

  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const box = stage.getBoundingClientRect();
    zoomTo(step(event.deltaY < 0 ? 1 : -1), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  stage.addEventListener("scroll", place);
  split.addEventListener("input", place);
  window.addEventListener("resize", place);
  byId("zoom-in").addEventListener("click", () => zoomTo(step(1)));
  byId("zoom-out").addEventListener("click", () => zoomTo(step(-1)));
  byId("image").addEventListener("change", openImage);
  for (const [side, other] of [["left", "right"], ["right", "left"]]) {
    byId(side).addEventListener("change", () => changeCodec(side, other));
    byId(`${side}-point`).addEventListener("change", show);
  }

  data.images.forEach((one, k) => option(byId("image"), k, `${one.set}/${one.name}`));
  openImage();
}

if (data.images.length) startViewer();
