"use strict";
(() => {
  const svg = document.getElementById("diagram");
  const info = document.getElementById("info");
  document.body.classList.add("script");
  const [left, apart] = [Number(svg.dataset.left), Number(svg.dataset.apart)];
  const lane = (x) => Math.floor((x - left) / apart);
  const number = (text) => (text === "" ? null : Number(text));
  const labels = [...svg.querySelectorAll(".b text")].values();
  // Each message: who sent it and when in the order of everything, who received it and when.
  const messages = [...svg.querySelectorAll("g.m path")].map((element) => {
    const [sent, received] = element.id.split(".").map(number);
    const [x1, y1, x2, y2] = element.getAttribute("d").match(/-?[\d.]+/g).map(Number);
    const [from, to] = [sent === null ? null : lane(x1), received === null ? null : lane(x2)];
    const label = element.classList.contains("b") ? labels.next().value : null;
    return { element, label, from, sent, to, received, x1, y1, x2, y2 };
  });
  const marks = [...svg.querySelectorAll(".v circle")].map((element) => {
    const sent = number(element.id);
    const [x, y] = [Number(element.getAttribute("cx")), Number(element.getAttribute("cy"))];
    const next = element.nextElementSibling;
    const label = next?.tagName === "text" ? next : null;
    return { element, label, from: lane(x), sent, to: null, received: null, x1: x, y1: y, x2: x, y2: y };
  });
  const everything = [...marks, ...messages];
  const latestFirst = messages
    .filter((message) => message.sent !== null && message.received !== null)
    .sort((a, b) => b.received - a.received);

  const visible = (item) => !item.element.classList.contains("off");
  const distance = (item, x, y) => {
    const [dx, dy] = [item.x2 - item.x1, item.y2 - item.y1];
    const length = dx * dx + dy * dy;
    const along = length === 0 ? 0 : ((x - item.x1) * dx + (y - item.y1) * dy) / length;
    const at = Math.max(0, Math.min(1, along));
    return Math.hypot(x - item.x1 - at * dx, y - item.y1 - at * dy);
  };
  const nearest = (event) => {
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    let [best, least] = [null, 7 * scale];
    for (const item of everything) {
      if (visible(item)) {
        const far = distance(item, x, y);
        if (far < least) [best, least] = [item, far];
      }
    }
    return best;
  };

  // What a member did last before it sent a message.
  const cause = (item) => {
    if (item.sent === null || item.element.tagName === "circle") return "";
    const before = marks.filter((mark) => mark.from === item.from && mark.sent < item.sent);
    const last = before.at(-1);
    return last ? last.element.firstElementChild.textContent.split("\n")[0] : "";
  };

  let hot = null;
  svg.addEventListener("mousemove", (event) => {
    const item = nearest(event);
    if (item === hot) return;
    if (hot) hot.element.classList.remove("hot");
    hot = item;
    info.hidden = !item;
    if (item) {
      item.element.classList.add("hot");
      const why = cause(item);
      info.textContent = item.element.firstElementChild.textContent + (why ? `\nafter: ${why}` : "");
    }
  });

  // What led to something: what its member did before, and what led to each message it had received.
  const past = (item) => {
    const until = new Map();
    const raise = (lane, place) => {
      if (lane !== null && place !== null) until.set(lane, Math.max(until.get(lane) ?? -1, place));
    };
    raise(item.from, item.sent);
    if (item.sent === null) raise(item.to, item.received);
    for (const message of latestFirst) {
      if (message.received <= (until.get(message.to) ?? -1)) raise(message.from, message.sent);
    }
    const before = (lane, place) => place !== null && place <= (until.get(lane) ?? -1);
    return (other) =>
      other === item ||
      (other.element.tagName === "circle"
        ? before(other.from, other.sent)
        : before(other.to, other.received));
  };
  const clear = () => {
    svg.classList.remove("lit");
    for (const item of everything) item.element.classList.remove("on");
  };
  svg.addEventListener("click", (event) => {
    clear();
    const item = nearest(event);
    if (!item) return;
    const led = past(item);
    svg.classList.add("lit");
    for (const other of everything) other.element.classList.toggle("on", led(other));
  });

  const filter = () => {
    const off = (name) =>
      new Set([...document.querySelectorAll(`[data-${name}]:not(:checked)`)].map((box) => box.dataset[name]));
    const [kinds, lanes] = [off("kind"), off("lane")];
    for (const item of everything) {
      const list = item.element.classList;
      // The answer to a PROBE has the classes of both.
      const kind = [...kinds].some((kind) => list.contains(kind));
      const lane = [item.from, item.to].some((lane) => lane !== null && lanes.has(String(lane)));
      list.toggle("off", kind || lane);
      item.label?.classList.toggle("off", kind || lane);
    }
  };
  document.getElementById("controls").addEventListener("change", filter);

  let zoom = 1;
  document.getElementById("controls").addEventListener("click", (event) => {
    const by = event.target.dataset?.zoom;
    if (event.target.id === "clear") {
      clear();
      for (const box of document.querySelectorAll("#controls input")) box.checked = true;
      filter();
    } else if (by) {
      zoom = Math.max(0.1, Math.min(10, zoom * Number(by)));
      for (const each of document.querySelectorAll("svg.names, #diagram")) {
        each.style.width = `${each.viewBox.baseVal.width * zoom}px`;
        each.style.height = `${each.viewBox.baseVal.height * zoom}px`;
      }
    }
  });
})();
