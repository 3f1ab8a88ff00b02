"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "null");
  const shelf = read("shelf") ?? [];
  const one = (sign, where = document) => where.querySelector(sign);
  const all = (sign, where = document) => [...where.querySelectorAll(sign)];
  const made = (tag, kind, text) => {
    const node = document.createElement(tag);
    if (kind) node.className = kind;
    if (text !== undefined) node.textContent = text; // never innerHTML: these are the user's words
    return node;
  };

  // ---- thumbnails: each stands once on the shelf
  function dress(thumb) {
    const picture = one("img, svg, canvas, audio, video", thumb);
    if (!picture && !thumb.classList.contains("none")) {
      const clamp = made("div", "clamp");
      clamp.append(...thumb.childNodes);
      thumb.classList.add("words");
      thumb.append(clamp);
    }
    for (const img of all("img", thumb)) {
      const mark = () => img.classList.toggle("tiny", img.naturalWidth > 0 && img.naturalWidth <= 96);
      img.complete ? mark() : img.addEventListener("load", mark);
    }
  }
  for (const thumb of all(".thumb[data-thumb]")) thumb.innerHTML = shelf[+thumb.dataset.thumb];
  all(".thumb").forEach(dress);

  // ---- curves: the value under the pointer
  for (const chart of all(".chart[data-points]")) {
    const points = JSON.parse(chart.dataset.points);
    const plot = one(".plot", chart), said = one("output", chart), last = said.textContent;
    const line = made("div", "at"), dot = made("b", "dot");
    const leave = () => { line.remove(); if (points.length > 1) dot.remove(); said.textContent = last; };
    plot.addEventListener("pointermove", (event) => {
      const box = plot.getBoundingClientRect(), at = (event.clientX - box.left) / box.width;
      const [step, x, y, words] = points.reduce((a, b) => (Math.abs(b[1] - at) < Math.abs(a[1] - at) ? b : a));
      line.style.left = dot.style.left = `${100 * x}%`;
      dot.style.top = `${100 * (1 - y)}%`;
      plot.append(line, dot);
      said.textContent = `step ${step.toLocaleString("en")}: ${words}`;
    });
    plot.addEventListener("pointerleave", leave);
  }

  // ---- copy, print, navigation
  for (const button of all("[data-copy]")) {
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent);
      } catch { // pages opened from a file may not reach the clipboard: select the text, and copy the old way
        getSelection().selectAllChildren(source);
        document.execCommand("copy");
      }
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
  addEventListener("beforeprint", () => all("details").forEach((d) => { d.open = true; }));
  const links = new Map(all("nav a").map((a) => [a.hash.slice(1), a]));
  const watch = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting) continue;
      links.forEach((a) => a.removeAttribute("aria-current"));
      links.get(target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-25% 0px -70% 0px" });
  all("main > section").forEach((section) => watch.observe(section));

  // ---- the maps
  for (const root of all(".map")) map(root, read(`${root.id}-data`));

  function map(root, { planes, fields, joined, ids, titles, named_by, columns, thumbs }) {
    const canvas = one("canvas", root), pen = canvas.getContext("2d"), tip = one(".tip", root), legend = one(".legend", root);
    const choose = { plane: one(".pick-plane select", root), colour: one(".pick-colour select", root) };
    const tick = (name) => one(`.${name}`, root);
    const colourable = columns.filter((c) => c.kind !== "text");
    let plane, column, zoom, shift, scale = 1, hovered = null, pinned = null, followed = null, pointed = null, found = null, hidden = new Set(), places = [], style, size;
    const HUES = 9, LOOKS = 3 * HUES, PAD = 26; // a value is a hue, and full, hollow or cored; later ones are grey

    // what is drawn: the colour group and the form of each point
    const group = (i) => {
      if (!column || column.kind === "number") return 0;
      return column.kind === "field" ? plane.field[i] : column.codes[plane.row[i]];
    };
    const many = () => column?.kind === "category" && column.values.length > HUES + 1;
    const hue = (g) => (many() ? (g < LOOKS ? `--c${g % HUES}` : "--rest") : `--c${g}`);
    const look = (g) => (many() && g < LOOKS ? Math.floor(g / HUES) : 0);
    function colour(i) {
      if (!column) return style("--c0");
      if (column.kind === "number") {
        const value = column.values[plane.row[i]];
        return value === null ? style("--rest") : ramp((value - column.low) / (column.high - column.low || 1));
      }
      return style(hue(group(i)));
    }
    const seen = (i) => !hidden.has(group(i)) && !hidden.has(`f${plane.field[i]}`);
    function ramp(t) {
      const stops = ["--s0", "--s1", "--s2"].map((n) => style(n).match(/[0-9a-f]{2}/gi).map((h) => parseInt(h, 16)));
      const at = Math.min(Math.max(t, 0), 1) * 2, k = Math.min(Math.floor(at), 1);
      return `rgb(${stops[k].map((v, j) => Math.round(v + (stops[k + 1][j] - v) * (at - k))).join(",")})`;
    }
    function form(path, kind, x, y, r) {
      path.beginPath();
      if (kind === 0) path.arc(x, y, r, 0, 7);
      else if (kind === 1) { path.moveTo(x, y - r * 1.25); path.lineTo(x + r * 1.15, y + r * 0.8); path.lineTo(x - r * 1.15, y + r * 0.8); path.closePath(); }
      else if (kind === 2) path.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8);
      else { path.moveTo(x, y - r * 1.3); path.lineTo(x + r * 1.3, y); path.lineTo(x, y + r * 1.3); path.lineTo(x - r * 1.3, y); path.closePath(); }
    }

    // where: map units to pixels; the whole map fills the canvas at zoom 1
    function measure() {
      const box = canvas.getBoundingClientRect(), dots = devicePixelRatio || 1;
      canvas.width = Math.round(box.width * dots);
      canvas.height = Math.round(box.height * dots);
      pen.setTransform(dots, 0, 0, dots, 0, 0);
      size = { w: box.width, h: box.height };
    }
    function place() {
      plane.fit ??= [0, 1].map((d) => plane.row.reduce((most, _, i) => Math.max(most, plane.xy[2 * i + d]), 0));
      const [w, h] = plane.fit;
      scale = Math.min((size.w - 2 * PAD) / (w || 1), (size.h - 2 * PAD) / (h || 1)) * zoom;
      places = plane.row.map((_, i) => [
        size.w / 2 + shift.x + (plane.xy[2 * i] - w / 2) * scale,
        size.h / 2 + shift.y + (plane.xy[2 * i + 1] - h / 2) * scale,
      ]);
    }

    function draw() {
      style = ((s) => (name) => s.getPropertyValue(name).trim())(getComputedStyle(document.documentElement));
      place();
      pen.clearRect(0, 0, size.w, size.h);
      if (joined && tick("join").checked) joinFields();
      const r = Math.min(Math.max(6.2 - Math.log2(places.length) * 0.27, 3) * Math.sqrt(Math.sqrt(zoom)), 9);
      const asked = hovered ?? followed ?? pinned;
      const bare = asked !== null && column?.kind === "category" && many() && group(asked) >= LOOKS; // of a value without a colour
      const told = pointed ?? (bare ? group(asked) : null);
      const stands = (i) => (told === null || group(i) === told) && (found === null || found.has(plane.row[i]));
      for (const wanted of [false, true]) {
        for (let i = 0; i < places.length; i++) {
          if (!seen(i) || stands(i) !== wanted) continue;
          pen.globalAlpha = wanted ? 0.88 : 0.16;
          dot(i, bare && wanted ? style("--accent") : colour(i), r);
        }
      }
      pen.globalAlpha = 1;
      if (tick("names").checked) writeNames();
      if (asked !== null) drawAsked(asked, r);
    }
    function dot(i, paint, r) { // full, hollow, or with a core of the page's colour
      const kind = look(group(i)), hollow = kind === 1;
      form(pen, plane.field[i], ...places[i], hollow ? r - 0.6 : r);
      pen.fillStyle = hollow ? style("--card") : paint;
      pen.strokeStyle = hollow ? paint : style("--card");
      pen.lineWidth = hollow ? 1.8 : 0.5;
      pen.fill();
      pen.stroke();
      if (kind !== 2) return;
      form(pen, plane.field[i], ...places[i], r * 0.42);
      pen.fillStyle = style("--card");
      pen.fill();
    }
    const stroke = (a, b) => { pen.beginPath(); pen.moveTo(...places[a]); pen.lineTo(...places[b]); pen.stroke(); };
    function joinFields() {
      const first = new Map();
      pen.strokeStyle = style("--soft");
      pen.lineWidth = 0.6;
      pen.globalAlpha = 0.3;
      plane.row.forEach((row, i) => {
        if (!seen(i)) return;
        first.has(row) ? stroke(first.get(row), i) : first.set(row, i);
      });
      pen.globalAlpha = 1;
    }
    function drawAsked(i, r) {
      pen.strokeStyle = style("--ink");
      pen.lineWidth = 1.2;
      const ring = (j, more) => { form(pen, plane.field[j], ...places[j], r + more); pen.stroke(); };
      if (tick("near").checked) plane.near[i].forEach((j) => { stroke(i, j); ring(j, 2); });
      if (joined) {
        pen.setLineDash([4, 3]);
        plane.row.forEach((row, j) => { if (row === plane.row[i] && j !== i) { stroke(i, j); ring(j, 3); } });
        pen.setLineDash([]);
      }
      pen.lineWidth = 2;
      pen.fillStyle = colour(i);
      form(pen, plane.field[i], ...places[i], r + 2.5);
      pen.fill();
      pen.stroke();
    }
    function writeNames() { // inside each cluster; a name that would cover another is left out
      const stand = column?.kind === "category" ? plane.names[columns.indexOf(column)] ?? [] : [];
      const taken = [];
      pen.font = `600 12px ${getComputedStyle(root).fontFamily}`;
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      pen.lineJoin = "round";
      for (const i of stand) {
        let words = column.values[column.codes[plane.row[i]]];
        if (!words || !seen(i)) continue;
        if (words.length > 24) words = `${words.slice(0, 23)}…`;
        const half = pen.measureText(words).width / 2 + 3, y = places[i][1];
        const x = Math.min(Math.max(places[i][0], half), Math.max(size.w - half, half)); // whole at the edge too
        if (taken.some((t) => Math.abs(t.x - x) < t.half + half && Math.abs(t.y - y) < 17)) continue;
        taken.push({ x, y, half, words });
        pen.strokeStyle = style("--card");
        pen.lineWidth = 4;
        pen.strokeText(words, x, y);
        pen.fillStyle = style("--ink");
        pen.fillText(words, x, y);
      }
      canvas.dataset.names = taken.map((t) => t.words).join("\n"); // a canvas tells nobody what is written on it
    }

    // ---- what a point says
    function tell() {
      const i = hovered ?? pinned;
      tip.hidden = i === null;
      if (i === null) return;
      const row = plane.row[i], nodes = [made("div", "title", titles[row])];
      const order = joined ? [plane.field[i]] : fields.map((_, k) => k);
      for (const k of order) {
        const number = thumbs[row][k];
        if (number === null || fields[k] === named_by) continue;
        const thumb = made("div", "thumb");
        thumb.innerHTML = shelf[number];
        dress(thumb);
        nodes.push(thumb);
      }
      if (joined) nodes.push(made("div", "of", fields[plane.field[i]]));
      for (const c of columns.slice(0, 7)) {
        let value = c.kind === "category" ? c.values[c.codes[row]] : c.values[row];
        if (typeof value === "number" && !Number.isInteger(value)) value = +value.toPrecision(4);
        if (c.name !== named_by && value !== null && value !== "" && value !== ids[row]) nodes.push(made("div", "line", `${c.name}: ${value}`));
      }
      if (titles[row] !== ids[row]) nodes.push(made("div", "line id", ids[row]));
      tip.replaceChildren(...nodes);
      const [left, top] = beside(i, tip.offsetWidth, tip.offsetHeight);
      tip.style.left = `${left}px`;
      tip.style.top = `${top}px`;
    }
    function beside(i, w, h) { // of the places around the point, the one that covers least of its lines
      const [x, y] = places[i], gap = 16, fit = (v, most) => Math.max(4, Math.min(v, most - 4));
      const across = [x + gap, x - w - gap, x - w / 2], up = [y - h / 2, y + gap, y - h - gap];
      const corners = [[4, 4], [size.w - w - 4, 4], [4, size.h - h - 4], [size.w - w - 4, size.h - h - 4]];
      const spots = [[across[0], up[0]], [across[1], up[0]], [across[0], up[1]], [across[0], up[2]], [across[1], up[1]], [across[1], up[2]],
        [across[2], up[1]], [across[2], up[2]], ...corners].map(([a, b]) => [fit(a, size.w - w), fit(b, size.h - h)]);
      const ends = [i, ...(tick("near").checked ? plane.near[i] : [])];
      if (joined) plane.row.forEach((row, j) => { if (row === plane.row[i]) ends.push(j); });
      const lines = ends.flatMap((j) => [0, 0.25, 0.5, 0.75, 1].map((t) => [0, 1].map((d) => places[i][d] + t * (places[j][d] - places[i][d]))));
      const covered = ([a, b]) => lines.filter(([p, q]) => p > a - 6 && p < a + w + 6 && q > b - 6 && q < b + h + 6).length;
      return spots.reduce((best, spot) => (covered(spot) < covered(best) ? spot : best));
    }
    function find(event, reach) {
      const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
      let best = null, least = reach;
      places.forEach(([px, py], i) => {
        const far = Math.hypot(px - x, py - y);
        if (far < least && seen(i)) [best, least] = [i, far];
      });
      return best;
    }
    let due = false;
    const redraw = () => { if (!due) { due = true; requestAnimationFrame(() => { due = false; draw(); tell(); }); } };
    const hover = (i) => { if (i !== hovered) { hovered = i; redraw(); announce(); } };

    // ---- search: rows whose words hold all that is asked for stand out; Enter goes from one to the next
    const asking = one(".find input", root), answer = one(".find output", root);
    const words = ids.map((id, row) => [id, titles[row], ...columns.map((c) => (c.kind === "category" ? c.values[c.codes[row]] : c.values[row]))]
      .join("\n").toLowerCase());
    let turn = -1;
    function seek() {
      const phrase = asking.value.toLowerCase().trim(), parts = phrase.split(/\s+/).filter(Boolean);
      const with_all = (wanted) => words.flatMap((text, row) => (wanted.every((part) => text.includes(part)) ? [row] : []));
      const exact = with_all([phrase]), rows = exact.length ? exact : with_all(parts); // as it stands, else all of its words
      found = parts.length ? new Set(rows) : null;
      turn = -1;
      answer.textContent = parts.length ? `${rows.length.toLocaleString("en")} of ${ids.length.toLocaleString("en")}` : "";
      redraw();
    }
    asking.addEventListener("input", seek);
    asking.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { asking.value = ""; seek(); }
      if (event.key !== "Enter" || !found) return;
      event.preventDefault();
      const there = plane.row.flatMap((row, i) => (found.has(row) && seen(i) ? [i] : []));
      if (!there.length) return;
      turn = (turn + 1) % there.length;
      pinned = there[turn];
      hovered = null;
      redraw();
      announce();
    });

    // ---- several maps of one page: the row asked for in one is shown in all
    function announce() {
      const i = hovered ?? pinned;
      document.dispatchEvent(new CustomEvent("asked", {
        detail: { root, id: i === null ? null : ids[plane.row[i]], field: i === null ? null : fields[plane.field[i]] },
      }));
    }
    document.addEventListener("asked", ({ detail: { root: from, id, field } }) => {
      if (from === root) return;
      const same = id === null ? [] : plane.row.flatMap((row, i) => (ids[row] === id ? [i] : []));
      followed = same.find((i) => fields[plane.field[i]] === field) ?? same[0] ?? null;
      redraw();
    });

    // ---- moving about
    function zoomBy(factor, at) {
      const box = canvas.getBoundingClientRect();
      const x = (at?.clientX ?? box.left + size.w / 2) - box.left - size.w / 2, y = (at?.clientY ?? box.top + size.h / 2) - box.top - size.h / 2;
      const next = factor ? Math.min(Math.max(zoom * factor, 1), 60) : 1, by = next / zoom;
      shift = next === 1 ? { x: 0, y: 0 } : { x: x - (x - shift.x) * by, y: y - (y - shift.y) * by };
      zoom = next;
      canvas.style.touchAction = zoom > 1 ? "none" : "pan-y"; // a finger scrolls the page until the map is zoomed
      redraw();
    }
    const pan = (x, y) => { if (zoom > 1) { shift.x += x; shift.y += y; redraw(); } };
    const fingers = new Map();
    let moved = 0, spread = 0;
    const apart = () => { const [a, b] = [...fingers.values()]; return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY); };
    canvas.addEventListener("pointerdown", (event) => {
      fingers.set(event.pointerId, event);
      canvas.setPointerCapture(event.pointerId);
      moved = fingers.size > 1 ? 99 : 0;
      if (fingers.size === 2) spread = apart();
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) { if (event.pointerType === "mouse") hover(find(event, 14)); return; }
      fingers.set(event.pointerId, event);
      if (fingers.size === 2) {
        const [a, b] = [...fingers.values()], now = apart();
        zoomBy(now / spread, { clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 });
        spread = now;
      } else {
        moved += Math.abs(event.clientX - before.clientX) + Math.abs(event.clientY - before.clientY);
        pan(event.clientX - before.clientX, event.clientY - before.clientY);
      }
    });
    const lift = (event) => {
      if (fingers.delete(event.pointerId) && event.type === "pointerup" && moved < 6) {
        const found = find(event, event.pointerType === "mouse" ? 14 : 24);
        pinned = found === pinned ? null : found;
        if (event.pointerType !== "mouse") hovered = null;
        redraw();
        announce();
      }
    };
    canvas.addEventListener("pointerup", lift);
    canvas.addEventListener("pointercancel", lift);
    canvas.addEventListener("pointerleave", () => hover(null));
    canvas.addEventListener("dblclick", (event) => zoomBy(2, event));
    canvas.addEventListener("wheel", (event) => { // plain wheel scrolls the page until the map was clicked
      if (!event.ctrlKey && !event.metaKey && document.activeElement !== canvas) return;
      event.preventDefault();
      zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0018)), event);
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
      const by = { "+": 1.5, "=": 1.5, "-": 1 / 1.5, 0: 0 }[event.key];
      if (event.key === "Escape") { pinned = hovered = null; redraw(); announce(); canvas.blur(); }
      if (step && zoom > 1) { event.preventDefault(); pan(...step); }
      if (by !== undefined) zoomBy(by);
    });
    all("[data-zoom]", root).forEach((button) => button.addEventListener("click", () => zoomBy(+button.dataset.zoom)));

    // ---- legend and choices
    function legendButton(key, words, count, paint, kind) {
      const button = made("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(!hidden.has(key)));
      const mark = document.createElementNS("http://www.w3.org/2000/svg", "svg"), shape = document.createElementNS(mark.namespaceURI, "path");
      mark.setAttribute("width", 14);
      mark.setAttribute("height", 14);
      mark.setAttribute("aria-hidden", "true");
      shape.setAttribute("d", ["M12 7a5 5 0 1 1-10 0a5 5 0 1 1 10 0Z", "M7 1L13 12H1Z", "M2 2H12V12H2Z", "M7 0L14 7L7 14L0 7Z"][kind]);
      const kind_of = typeof key === "number" ? look(key) : 0;
      shape.style.fill = kind_of === 1 ? "none" : paint;
      if (kind_of) { shape.style.stroke = paint; shape.style.strokeWidth = 2; }
      mark.append(shape);
      if (kind_of === 2) {
        const core = document.createElementNS(mark.namespaceURI, "circle");
        for (const [name, value] of [["cx", 7], ["cy", 7], ["r", 2.2]]) core.setAttribute(name, value);
        core.style.fill = "var(--card)";
        mark.append(core);
      }
      button.append(mark, made("span", "value", words), made("span", "count", count.toLocaleString("en")));
      button.addEventListener("click", () => {
        hidden.delete(key) || hidden.add(key);
        button.setAttribute("aria-pressed", String(!hidden.has(key)));
        pointed = null; // a click shows or hides; only pointing sets the others back, and not at what is hidden
        redraw();
      });
      if (typeof key === "number") {
        button.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse" && !hidden.has(key)) { pointed = key; redraw(); } });
        button.addEventListener("pointerleave", () => { pointed = null; redraw(); });
      }
      legend.append(button);
    }
    function writeLegend() {
      legend.replaceChildren();
      const count = (test) => plane.row.reduce((n, _, i) => n + test(i), 0);
      if (column?.kind === "number") {
        const scale = made("span", "scale"), say = (v) => (Math.abs(v) >= 1000 ? Math.round(v).toLocaleString("en") : String(+v.toPrecision(3)));
        scale.append(made("span", "", say(column.low)), made("span", "ramp"), made("span", "", say(column.high)));
        legend.append(scale);
      } else if (column?.kind === "category") {
        const sizes = new Map();
        plane.row.forEach((_, i) => sizes.set(group(i), (sizes.get(group(i)) ?? 0) + 1));
        if (column.values.length > 3) {
          for (const [words, keys] of [["all", []], ["none", column.values.map((_, g) => g)]]) {
            const button = made("button", "every", words);
            button.type = "button";
            button.addEventListener("click", () => {
              hidden = new Set([...keys, ...[...hidden].filter((key) => typeof key === "string")]);
              pointed = null;
              writeLegend();
              redraw();
            });
            legend.append(button);
          }
        }
        column.values.forEach((value, g) => { if (sizes.has(g)) legendButton(g, value || "unknown", sizes.get(g), `var(${hue(g)})`, 0); });
      }
      if (joined) {
        const own = column?.kind === "field";
        fields.forEach((name, k) => legendButton(own ? k : `f${k}`, name, count((i) => plane.field[i] === k), own ? `var(--c${k})` : "var(--soft)", k % 4));
      }
    }
    function choice(select, names) {
      select.replaceChildren(...names.map((name, k) => { const o = made("option", "", name); o.value = k; return o; }));
      select.closest("label").hidden = names.length < 2;
    }
    if (joined) colourable.push({ name: "field", kind: "field", values: fields });
    for (const c of colourable.filter((c) => c.kind === "number")) {
      const known = c.values.filter((v) => v !== null);
      [c.low, c.high] = [Math.min(...known), Math.max(...known)];
    }
    function pick() {
      plane = planes[+choose.plane.value || 0];
      column = colourable[+choose.colour.value || 0];
      [zoom, shift, hovered, pinned, followed, pointed, hidden] = [1, { x: 0, y: 0 }, null, null, null, null, new Set()];
      all(".plane-words", root).forEach((words, k) => { words.hidden = planes[k] !== plane; });
      one(".names", root).closest("label").hidden = column?.kind !== "category";
      measure();
      writeLegend();
      canvas.dataset.names = "";
      draw();
      tell();
    }
    choice(choose.plane, planes.map((p) => p.name));
    choice(choose.colour, colourable.map((c) => c.name));
    one(".joins", root).hidden = !joined;
    [choose.plane, choose.colour].forEach((select) => select.addEventListener("change", pick));
    all("input", root).forEach((input) => input.addEventListener("change", redraw));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    new ResizeObserver(() => { measure(); redraw(); }).observe(canvas);
    pick();
  }
})();
