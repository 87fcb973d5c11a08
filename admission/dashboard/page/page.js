"use strict";
/* Follows the account and shows it; sends orders. Whatever comes is shown as text, never as HTML. */

const KEPT = 600;
const known = { account: "", orders: false, fields: [], rows: [], state: null, seen: 0, fault: "" };
const at = (id) => document.getElementById(id);
const say = (id, text) => {
  const node = at(id);
  if (node.textContent !== text) node.textContent = text;
};
const element = (name, facts, ...inner) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(facts)) node.setAttribute(key, value);
  node.append(...inner);
  return node;
};

/* The token lives as long as this tab, and travels in a header. */
const token = {
  get: () => sessionStorage.getItem("admission-token") ?? "",
  set: (text) => (text ? sessionStorage.setItem("admission-token", text) : sessionStorage.removeItem("admission-token")),
  headers: () => (token.get() ? { Authorization: `Bearer ${token.get()}` } : {}),
};

/* What is shown */

function link(kind, text) {
  at("link").className = `link ${kind}`;
  say("link", text);
}

function span(seconds) {
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

function showNotes(notes) {
  const told = notes.map((note) => `${note.level} ${note.text}`).join("\n");
  if (showNotes.told === told) return;
  showNotes.told = told;
  at("notes").replaceChildren(...notes.map((note) => element("li", { class: note.level }, note.text)));
}

function showLegend(parts) {
  const list = at("legend");
  if (!list.children.length) {
    for (const part of PARTS) {
      const swatch = shape("svg", { viewBox: "0 0 18 18", "aria-hidden": "true" });
      swatch.append(shape("rect", { class: `fill-${part}`, width: 18, height: 18, rx: 4 }));
      list.append(element("li", { class: "part" }, swatch, part, element("b", { id: `part-${part}` })));
    }
  }
  for (const part of PARTS) say(`part-${part}`, String(parts[part]));
}

function served(lane) {
  const told = lane.settings;
  if (told === null) return "";
  const parts = [`priority ${told.priority}`, `weight ${told.weight}`];
  if (told.headroom) parts.push(`headroom ${told.headroom}`);
  if (told.max_in_flight !== null) parts.push(`at most ${told.max_in_flight}`);
  if (told.promote_after !== null) parts.push(`promoted after ${told.promote_after} s`);
  return parts.join(", ");
}

function showLanes(lanes) {
  const body = at("lanes");
  const names = lanes.map((lane) => lane.name).join("\n");
  if (showLanes.names !== names) {
    /* Rows are made anew only when there are other lanes: a button that is focused stays. */
    showLanes.names = names;
    body.replaceChildren(...lanes.map((lane) => {
      const button = element("button", { type: "button", class: "small" });
      button.addEventListener("click", () => ask(button.dataset.verb, lane.name, button));
      const name = element("th", { scope: "row" }, lane.name, " ", element("span", { class: "paused" }));
      return element("tr", {}, name, element("td", { class: "number" }), element("td", { class: "number" }),
        element("td", { class: "served" }), element("td", { class: "order" }, button));
    }));
  }
  lanes.forEach((lane, number) => {
    const [name, waiting, booked, terms, order] = body.children[number].children;
    name.lastChild.textContent = lane.paused ? "paused" : "";
    waiting.textContent = lane.waiting;
    booked.textContent = lane.in_flight;
    terms.textContent = served(lane);
    const button = order.firstChild;
    button.hidden = !known.orders;
    button.dataset.verb = lane.paused ? "resume" : "pause";
    button.textContent = lane.paused ? "Resume" : "Pause";
    button.setAttribute("aria-label", `${button.textContent} lane ${lane.name}`);
  });
}

function show() {
  const state = known.state;
  at("main").hidden = false;
  at("gate").hidden = true;
  at("orders").hidden = !known.orders;
  say("account", known.account);
  document.title = state ? `${state.in_use}/${state.limit ?? "?"} · ${known.account}` : `admission · ${known.account}`;
  const silent = known.fault ? [{ level: "stop", text: silence() }] : [];
  showNotes([...silent, ...(state ? state.notes : [])]);
  if (!state) return;
  say("in-use", String(state.in_use));
  say("limit", String(state.limit ?? "?"));
  say("free", String(state.free));
  say("waiting", String(state.waiting));
  drawBar(at("bar"), state);
  showLegend(state.parts);
  drawChart(at("chart"), known.rows, known.fields);
  const age = state.usage_age;
  say("age", age === null ? "none yet" : span(age));
  say("worth", age === null ? "" : state.reading);
  at("worth").className = `tag ${state.reading}`;
  say("count", String(state.count ?? "unknown"));
  say("read-limit", String(state.limit ?? "unknown"));
  say("lag", state.visibility_lag_seen === null ? "none" : `${state.visibility_lag_seen.toFixed(1)} s`);
  showLanes(state.lanes);
  const focused = document.activeElement;
  at("pause").hidden = state.paused;
  at("resume").hidden = !state.paused;
  if (focused === at("pause") && state.paused) at("resume").focus();
  if (focused === at("resume") && !state.paused) at("pause").focus();
}

function silence() {
  return known.state ? `${known.fault}; shown is what it told at ${new Date(known.seen * 1000).toLocaleTimeString()}` : known.fault;
}

/* What comes */

function hear(name, told) {
  if (name === "hello") {
    Object.assign(known, { account: told.account, orders: told.orders, fields: told.fields, rows: told.history });
  } else if (name === "moment") {
    known.rows = [...known.rows, told.sample].slice(-KEPT);
    known.fault = told.fault;
    if (told.state) Object.assign(known, { state: told.state, seen: told.at });
    link(told.fault ? "lost" : "live", told.fault ? "the ledger is silent" : "live");
    show();
  }
}

async function follow() {
  const answer = await fetch("events", { headers: token.headers(), cache: "no-store" });
  if (answer.status === 401) return lockOut();
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return true;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const fields = Object.fromEntries(event.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
      hear(fields.event, JSON.parse(fields.data));
    }
  }
}

function lockOut() {
  if (token.get()) say("gate-fault", "That is not the token.");
  token.set("");
  at("main").hidden = true;
  at("gate").hidden = false;
  at("gate-token").value = "";
  at("gate-token").focus();
  link("", "locked");
  return false;
}

async function keepFollowing() {
  for (let pause = 500; ; pause = Math.min(5000, pause * 2)) {
    try {
      if (!(await follow())) return;
      pause = 500;
    } catch {
      /* It is tried again below. */
    }
    link("lost", "the dashboard's server does not answer");
    await new Promise((wake) => setTimeout(wake, pause));
  }
}

/* What is ordered */

let order = null;

function ask(verb, lane, button) {
  order = { verb, lane, button };
  const what = lane === null ? "the fleet" : `lane ${lane}`;
  const pauses = verb === "pause";
  say("ask-title", pauses ? `Pause ${what}?` : `Resume ${what}?`);
  say("ask-text", pauses ? "Nothing more is started, from the very next call on; running calls go on." : "Callers that wait are admitted again.");
  say("ask-fault", "");
  at("ask-reason-row").hidden = !pauses;
  at("ask-reason").value = "";
  at("ask-token-row").hidden = token.get() !== "";
  at("ask-token").required = token.get() === "";
  at("ask-yes").textContent = pauses ? "Pause" : "Resume";
  at("ask-yes").className = pauses ? "stop" : "primary";
  at("ask").showModal();
}

async function send(event) {
  event.preventDefault();
  if (!token.get()) token.set(at("ask-token").value);
  at("ask-yes").disabled = true;
  try {
    const answer = await fetch(order.verb, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...token.headers() },
      body: JSON.stringify({ reason: at("ask-reason").value, lane: order.lane }),
    });
    if (answer.status === 401) {
      token.set("");
      at("ask-token-row").hidden = false;
      at("ask-token").required = true;
      at("ask-token").focus();
      say("ask-fault", "That is not the token.");
    } else if (!answer.ok) {
      say("ask-fault", (await answer.json()).error);
    } else {
      at("ask").close();
    }
  } catch {
    say("ask-fault", "The dashboard's server does not answer: nothing was changed.");
  } finally {
    at("ask-yes").disabled = false;
  }
}

at("ask-form").addEventListener("submit", send);
at("ask-no").addEventListener("click", () => at("ask").close());
at("pause").addEventListener("click", (event) => ask("pause", null, event.target));
at("resume").addEventListener("click", (event) => ask("resume", null, event.target));
at("gate").addEventListener("submit", (event) => {
  event.preventDefault();
  token.set(at("gate-token").value);
  say("gate-fault", "");
  keepFollowing();
});
new ResizeObserver(() => requestAnimationFrame(() => known.state && show())).observe(at("chart"));
keepFollowing();
