/* The page of `flamegraph`: RSS over time, and under it the calling contexts as rows of rectangles. Plotly draws. What it is
 * to draw is chosen here: rows that are wide enough to be seen, with names cut to their width, so that a tree of many
 * thousand rows stays quick. Names come from the recorded program: they reach the page as text, or escaped, never as HTML. */
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const rows = data.rows;
  const number = rows.parent.length;
  const ROW = 20, CHARACTER = 6.7, LEAST = 3; // pixels
  const MOST = 1500; // rectangles at a time
  const FUNCTION = 0, C_FUNCTION = 1, SPECIAL = 2, REST = 3; // rows.kind
  const CONFIG = { displayModeBar: false, responsive: false, showTips: false };
  const byId = (id) => document.getElementById(id);
  const graph = byId("graph"), line = byId("timeline"), search = byId("search");

  // --- figures as text ------------------------------------------------------------------------------------------------

  const exact = (n) => n.toLocaleString("en-US");
  const signed = (n) => (n > 0 ? "+" : "") + exact(n);

  function size(bytes) {
    let value = bytes, unit = 0;
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    while (Math.abs(value) >= 1024 && unit < units.length - 1) {
      value /= 1024;
      unit++;
    }
    return unit ? `${value.toFixed(1)} ${units[unit]}` : `${bytes} B`;
  }

  const duration = (us) => (us >= 1e6 ? `${(us / 1e6).toFixed(3)} s` : us >= 1e3 ? `${(us / 1e3).toFixed(3)} ms` : `${us} µs`);
  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const cut = (text, most) => (text.length <= most ? text : most < 3 ? "" : text.slice(0, most - 1) + "…");

  function name(row) {
    return data.strings[rows.name[row]];
  }

  function place(row) {
    const file = data.strings[rows.file[row]], at = rows.line[row];
    return rows.kind[row] === C_FUNCTION ? `C, called from ${file}` : at ? `${file}#${at}` : file;
  }

  // --- the tree: own figures are in the data, what includes the called is worked out here --------------------------------

  const views = {
    growth: { own: (i) => rows.up[i], text: size },
    peak: { own: (i) => rows.at_peak[i], text: size },
    net: { own: (i) => rows.up[i] + rows.down[i], text: size },
    time: { own: (i) => rows.us[i], text: duration },
    calls: { own: (i) => rows.calls[i], text: exact },
  };

  function withCalled(own, join = (a, b) => a + b) {
    const all = Float64Array.from({ length: number }, (_, i) => own(i));
    for (let i = number - 1; i > 0; i--) { // a parent stands before its children
      all[rows.parent[i]] = join(all[rows.parent[i]], all[i]);
    }
    return all;
  }

  const children = Array.from({ length: number }, () => []);
  for (let i = 1; i < number; i++) {
    children[rows.parent[i]].push(i);
  }

  /* Of figures with what was called: how wide rows are. Where a row gave back some of what those below it took, these share
   * what is left; where it gave back all, it has no width. Without falls, widths are the figures. */
  function widthsOf(figures) {
    const wide = new Float64Array(number), taken = figures.map((figure) => Math.max(0, figure));
    for (let i = 0; i < number; i++) {
      const whole = Math.max(taken[i], children[i].reduce((sum, child) => sum + taken[child], 0));
      if (i === 0) {
        wide[0] = whole;
      }
      for (const child of children[i]) {
        wide[child] = whole > 0 ? (taken[child] / whole) * wide[i] * (1 - 1e-9) : 0; // rounding must not make them wider
      }
    }
    return wide;
  }

  for (const view of Object.values(views)) {
    view.all = withCalled(view.own);
    view.wide = widthsOf(view.all);
  }
  const all = {
    up: withCalled((i) => rows.up[i]),
    down: withCalled((i) => rows.down[i]),
    atPeak: withCalled((i) => rows.at_peak[i]),
    peak: withCalled((i) => rows.peak[i], Math.max),
  };
  function path(row) { // outermost first, without the root
    const found = [];
    for (let at = row; at > 0; at = rows.parent[at]) {
      found.push(at);
    }
    return found.reverse();
  }

  // --- state ------------------------------------------------------------------------------------------------------------

  let view = data.view, zoomed = 0, matches = null, listening = false;
  let chosen = 0; // row of the moment that is shown

  function widths() { // rows to draw, with parents before children; their ancestors are as wide as the page
    const value = views[view].wide, drawn = [];
    let least = LEAST;
    do {
      const waiting = [zoomed], scale = graph.clientWidth / value[zoomed];
      drawn.length = 0;
      while (waiting.length) {
        const row = waiting.pop();
        drawn.push(row);
        waiting.push(...children[row].filter((child) => value[child] * scale >= least));
      }
      least *= 1.5;
    } while (drawn.length > MOST);
    return drawn;
  }

  function hue(text) {
    let h = 7;
    for (let i = 0; i < text.length; i++) {
      h = (h * 31 + text.charCodeAt(i)) | 0;
    }
    return Math.abs(h);
  }

  function color(row) { // by file, so that one module's functions look alike; what is not Python's is blue or grey
    if (matches) {
      return matches.has(row) ? "#ff8ac4" : "#eceff1";
    }
    const h = hue(data.strings[rows.file[row]]);
    switch (rows.kind[row]) {
      case FUNCTION:
        return `hsl(${20 + (h % 40)}, ${70 + (h % 25)}%, ${72 + (h % 10)}%)`;
      case C_FUNCTION:
        return `hsl(${200 + (hue(name(row)) % 25)}, 45%, 80%)`;
      default:
        return rows.kind[row] === REST ? "#f3f3f3" : "#dadde0";
    }
  }

  function label(row, width) {
    const room = Math.floor((width - 6) / CHARACTER), value = views[view];
    const figure = `  ${value.text(value.all[row])}`;
    const where = rows.kind[row] === FUNCTION ? `  ${place(row).split("/").pop()}` : "";
    for (const text of [name(row) + where + figure, name(row) + figure]) {
      if (text.length <= room) {
        return text;
      }
    }
    return cut(name(row), room);
  }

  const percent = (part, whole) => (whole > 0 ? `${((100 * part) / whole).toFixed(1)} %` : "");

  function details(row) { // lines
    const value = views[view];
    const both = (title, total, own) => `${title} ${total}, itself ${own}`;
    const net = (i, up, down) => size(up[i] + down[i]);
    return [
      place(row),
      `${percent(value.wide[row], value.wide[0])} of all, ${percent(value.wide[row], value.wide[zoomed])} of what is shown`,
      both("growth", size(all.up[row]), size(rows.up[row])),
      both("net", net(row, all.up, all.down), net(row, rows.up, rows.down)),
      both("held at the peak", size(all.atPeak[row]), size(rows.at_peak[row])),
      all.peak[row] ? `highest RSS while it ran ${size(all.peak[row])}` : "",
      both("time", duration(views.time.all[row]), duration(rows.us[row])),
      rows.kind[row] === FUNCTION || rows.kind[row] === C_FUNCTION ? `called ${exact(rows.calls[row])} times` : "",
    ].filter((text) => text);
  }

  function tooltip(row) {
    return [`<b>${escaped(cut(name(row), 90))}</b>`, ...details(row).map((text) => escaped(cut(text, 110)))].join("<br>");
  }

  // --- drawing ----------------------------------------------------------------------------------------------------------

  function draw() {
    const value = views[view].wide;
    const nothing = !(value[0] > 0);
    document.body.dataset.view = view;
    document.body.dataset.zoomed = zoomed;
    byId("about-view").textContent = data.about_views[view];
    byId("nothing").textContent = nothing ? data.nothing[view] : "";
    graph.hidden = nothing;
    for (const button of document.querySelectorAll("#views button")) {
      button.setAttribute("aria-pressed", button.dataset.view === view);
    }
    byId("whole").disabled = zoomed === 0;
    if (nothing) {
      return;
    }
    zoomed = value[zoomed] > 0 ? zoomed : 0;
    const above = zoomed ? [0, ...path(zoomed).slice(0, -1)] : [], below = widths();
    const shown = [...above, ...below], depth = new Map(), onPath = new Set(path(chosen));
    let deepest = 0;
    shown.forEach((row, i) => {
      const level = i === 0 ? 0 : depth.get(rows.parent[row]) + 1;
      depth.set(row, level);
      deepest = Math.max(deepest, level);
    });
    const wide = (row, i) => (i < above.length ? value[zoomed] : value[row]);
    const scale = graph.clientWidth / value[zoomed];
    const trace = {
      type: "icicle",
      branchvalues: "total",
      ids: shown.map(String),
      parents: shown.map((row, i) => (i ? String(rows.parent[row]) : "")),
      values: shown.map(wide),
      labels: shown.map(String),
      text: shown.map((row, i) => escaped(label(row, wide(row, i) * scale))),
      hovertext: shown.map(tooltip),
      hoverinfo: "text",
      textinfo: "text",
      textposition: "middle left",
      insidetextfont: { family: "ui-monospace, Menlo, Consolas, monospace", size: 11, color: "#1b1f24" },
      hoverlabel: { align: "left", bgcolor: "#fff", bordercolor: "#888", font: { color: "#1b1f24", size: 12 }, namelength: -1 },
      pathbar: { visible: false },
      tiling: { orientation: "v", pad: 0 },
      root: { color: "rgba(0,0,0,0)" },
      marker: {
        colors: shown.map(color),
        line: {
          color: shown.map((row) => (onPath.has(row) ? "#1b1f24" : "#fff")),
          width: shown.map((row) => (onPath.has(row) ? 1.5 : 0.5)),
        },
      },
    };
    Plotly.react(graph, [trace], {
      height: (deepest + 1) * ROW,
      width: graph.clientWidth,
      margin: { l: 0, r: 0, t: 0, b: 0 },
      uniformtext: { mode: "show", minsize: 11 },
      paper_bgcolor: "rgba(0,0,0,0)",
    }, CONFIG);
    if (!listening) {
      listening = true;
      graph.on("plotly_icicleclick", (event) => {
        zoom(Number(event.points[0].id));
        return false; // not Plotly's own zoom
      });
    }
  }

  function zoom(row) {
    zoomed = row;
    draw();
  }

  function find(term) {
    const wanted = term.trim().toLowerCase();
    if (!wanted) {
      matches = null;
      byId("found").textContent = "";
      return draw();
    }
    const good = data.strings.map((text) => text.toLowerCase().includes(wanted));
    const value = views[view], topmost = new Float64Array(number);
    let sum = 0, share = 0;
    matches = new Set();
    for (let i = 1; i < number; i++) { // what is below a match is in its figure already
      const match = rows.kind[i] !== REST && (good[rows.name[i]] || good[rows.file[i]]);
      topmost[i] = topmost[rows.parent[i]] || match ? 1 : 0;
      if (match) {
        matches.add(i);
        if (!topmost[rows.parent[i]]) {
          sum += value.all[i];
          share += value.wide[i];
        }
      }
    }
    byId("found").textContent = matches.size
      ? `${exact(matches.size)} found: ${value.text(sum)}, ${percent(share, value.wide[0]) || "0 %"} of all`
      : "not found";
    draw();
  }

  // --- RSS over time ----------------------------------------------------------------------------------------------------

  function unitOf(bytes) {
    const units = [[1 << 30, "GiB"], [1 << 20, "MiB"], [1 << 10, "KiB"]];
    return units.find(([unit]) => bytes >= 4 * unit) || units[2];
  }

  function drawTimeline() {
    const highest = Math.max(...data.timelines.map((one) => one.rss.reduce((a, b) => Math.max(a, b), 0)));
    const [unit, unitName] = unitOf(highest);
    const traces = [];
    data.timelines.forEach((one, index) => {
      for (const temporary of [0, 1]) {
        const moments = one.t.map((_, i) => i).filter((i) => one.temporary[i] === temporary);
        if (moments.length) {
          traces.push({
            type: "scatter",
            x: moments.map((i) => one.t[i]),
            y: moments.map((i) => one.rss[i] / unit),
            customdata: moments.map((i) => [index, i]),
            text: moments.map((i) => escaped(`${one.t[i].toFixed(6)} s: ${size(one.rss[i])} ${cut(name(one.row[i]), 60)}`)),
            hoverinfo: "text",
            name: escaped(cut(one.name, 60)),
            legendgroup: String(index),
            showlegend: !temporary && data.timelines.length > 1,
            mode: temporary ? "markers" : "lines",
            line: { shape: "hv", width: 1.5, color: data.timelines.length > 1 ? undefined : "#b3541e" },
            marker: { symbol: "x-thin", size: 7, line: { width: 1.5, color: "#555" } },
          });
        }
      }
    });
    Plotly.react(line, traces, {
      height: 220,
      width: line.clientWidth,
      margin: { l: 70, r: 12, t: 8, b: 36 },
      hovermode: "closest",
      hoverdistance: -1,
      dragmode: "zoom",
      xaxis: { title: { text: "seconds", standoff: 4 }, rangemode: "tozero", zeroline: false },
      yaxis: { rangemode: "tozero", ticksuffix: ` ${unitName}`, fixedrange: true, zeroline: false },
      legend: { orientation: "h", y: 1.1 },
      shapes: [],
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
    }, CONFIG);
  }

  function show(index, i) { // the stack at a moment
    const one = data.timelines[index], row = one.row[i];
    const what = one.temporary[i] ? "a temporary of" : "RSS";
    const thread = one.threads[String(one.thread[i])] || (one.thread[i] ? `thread ${one.thread[i]}` : "");
    chosen = row;
    byId("moment").textContent = [
      `${one.t[i].toFixed(6)} s: ${what} ${size(one.rss[i])}`,
      data.timelines.length > 1 ? one.name : "",
      one.many_threads ? thread : "",
    ].filter((text) => text).join(", ");
    const list = byId("stack");
    list.replaceChildren();
    const entry = (text, title) => {
      const item = document.createElement("li");
      item.textContent = text;
      item.title = title;
      list.append(item);
      return item;
    };
    if (one.deeper[i]) {
      entry("… deeper calls are not in this page", "");
    }
    for (const at of path(row).reverse()) {
      const item = entry("", place(at)), button = document.createElement("button"), where = document.createElement("small");
      button.textContent = name(at);
      where.textContent = rows.kind[at] === C_FUNCTION ? "C" : place(at).split("/").slice(-2).join("/");
      button.addEventListener("click", () => zoom(at));
      item.append(button, where);
    }
    Plotly.relayout(line, {
      shapes: [{ type: "line", x0: one.t[i], x1: one.t[i], y0: 0, y1: 1, yref: "paper", line: { width: 1, dash: "dot" } }],
    });
    draw();
  }

  // --- the page ---------------------------------------------------------------------------------------------------------

  for (const button of document.querySelectorAll("#views button")) {
    button.addEventListener("click", () => {
      view = button.dataset.view;
      find(search.value);
    });
  }
  byId("whole").addEventListener("click", () => zoom(0));
  let typed = 0;
  search.addEventListener("input", () => {
    clearTimeout(typed);
    typed = setTimeout(() => find(search.value), 200);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      search.value = "";
      zoomed = 0;
      find("");
    } else if (event.key === "/" && document.activeElement !== search) {
      search.focus();
      event.preventDefault();
    }
  });

  let later = 0;
  window.addEventListener("resize", () => {
    clearTimeout(later);
    later = setTimeout(() => {
      draw();
      if (data.timelines.length) {
        Plotly.relayout(line, { width: line.clientWidth });
      }
    }, 150);
  });

  if (data.timelines.length) {
    drawTimeline();
    line.on("plotly_click", (event) => show(...event.points[0].customdata));
    show(...data.highest);
  } else {
    draw();
  }
  document.body.dataset.ready = "yes";
})();
