// The page: asks the server about one photo, draws its answer on two canvases (photo below, labels
// above), and lets a person look at it class by class and stage by stage.

const at = (id) => document.getElementById(id);
const state = { file: null, answer: null, view: "classes", hidden: new Set(), asking: null };

// ---- the photo -----------------------------------------------------------------------------

function take(file) {
  if (!file) return;
  state.file = file;
  const words = document.createElement("span");
  words.textContent = `${file.name || "pasted photo"}, ${megabytes(file.size)}`;
  const image = new Image();
  image.alt = "";
  image.onload = () => at("dropped").replaceChildren(image, words);
  image.src = URL.createObjectURL(file);
  at("dropped").replaceChildren(words);
  complain("");
}

const megabytes = (bytes) =>
  bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

at("file").addEventListener("change", (event) => take(event.target.files[0]));
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") take(event.dataTransfer.files[0]);
  });
}
document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find((each) => each.type.startsWith("image/"));
  if (file) take(file);
});

// ---- asking --------------------------------------------------------------------------------

at("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  complain("");
  if (!state.file) return complain("Choose a photo first.", at("file"));
  if (!at("classes").value.trim()) return complain("Name at least one class.", at("classes"));
  const fields = new FormData(at("ask"));
  fields.set("image", state.file, state.file.name || "photo");
  fields.set("page", "1");
  state.asking?.abort();
  const asking = (state.asking = new AbortController());
  busy(true);
  const started = performance.now();
  try {
    const reply = await fetch("api/segment", { method: "POST", body: fields, signal: asking.signal });
    const answer = await reply.json();
    if (!reply.ok) throw new Error([answer.error, answer.hint].filter(Boolean).join("\n"));
    await show(answer);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    say(`${answer.width} x ${answer.height} pixels, ${seconds} s`);
  } catch (error) {
    if (asking.signal.aborted) return;
    const lost = error instanceof TypeError || error instanceof SyntaxError;
    complain(lost ? "The server does not answer.\nIs pgseg serve still running?" : error.message);
    say("");
  } finally {
    if (state.asking === asking) busy(false);
  }
});

at("classes").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    at("ask").requestSubmit();
  }
});
at("background").addEventListener("change", (event) => {
  at("threshold").disabled = !event.target.checked;
});

function busy(yes) {
  at("go").setAttribute("aria-busy", yes);
  at("go").textContent = yes ? "Segmenting…" : "Segment";
  if (yes) say("Waiting for the model…");
}
function say(text) {
  at("status").textContent = text;
}
function complain(text, field) {
  at("error").textContent = text;
  field?.focus();
}

// ---- showing -------------------------------------------------------------------------------

async function show(answer) {
  state.answer = answer;
  state.hidden = new Set();
  const { width, height } = answer.shown;
  const photo = new Image();
  photo.src = answer.shown.photo;
  await photo.decode();
  for (const canvas of [at("photo"), at("labels")]) {
    canvas.width = width;
    canvas.height = height;
    const enlarged = Math.max(1, Math.min(8, 480 / Math.max(width, height)));
    canvas.style.width = enlarged > 1 ? `${width * enlarged}px` : "";
    canvas.hidden = false;
  }
  at("canvas").classList.toggle("small", Math.max(width, height) < 200);
  at("photo").getContext("2d").drawImage(photo, 0, 0);
  at("photo").setAttribute("aria-label", "The photo");
  answer.pixels = unrolled(answer.shown.labels, width * height);
  for (const id of ["tools", "below"]) at(id).hidden = false;
  at("empty").hidden = true;
  at("mask").href = answer.mask;
  at("mask").download = `${stem()}_mask.png`;
  const views = [["classes", "Classes"]];
  model.groups.forEach((_, place) => views.push([`stage${place}`, `Stage ${place + 1}`]));
  views.push(["photo", "Photo"]);
  answer.file = state.file;
  if (state.view.startsWith("stage")) state.view = "classes";
  if (!views.some(([value]) => value === state.view)) state.view = "classes";
  at("views").replaceChildren(...views.map(viewButton));
  list();
  draw();
}

const stem = () => (state.file?.name || "photo").replace(/\.[^.]*$/, "");

function unrolled(runs, count) {
  const labels = new Uint16Array(count);
  for (let place = 0, run = 0; run < runs.length; run += 2) {
    labels.fill(runs[run], place, place + runs[run + 1]);
    place += runs[run + 1];
  }
  return labels;
}

function viewButton([value, words]) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  Object.assign(input, { type: "radio", name: "view", value, checked: value === state.view });
  input.addEventListener("change", () => look(value));
  label.append(input, words);
  return label;
}

async function look(view) {
  if (view.startsWith("stage") && !(await withGroups())) view = "classes";
  state.view = view;
  state.hidden = new Set();
  for (const input of at("views").querySelectorAll("input")) input.checked = input.value === view;
  list();
  draw();
}

// Groups need a look of the network of their own: they are asked for when they are to be shown.
async function withGroups() {
  const answer = state.answer;
  if (answer.stages) return true;
  const fields = new FormData();
  fields.set("image", answer.file, answer.file.name || "photo");
  say("Looking at the groups…");
  try {
    const reply = await fetch("api/groups", { method: "POST", body: fields });
    const found = await reply.json();
    if (!reply.ok) throw new Error([found.error, found.hint].filter(Boolean).join("\n"));
    answer.stages = found.stages;
    say("");
  } catch (error) {
    complain(error instanceof TypeError ? "The server does not answer." : error.message);
  }
  return state.answer === answer && Boolean(answer.stages);
}

// What the present view shows: a label for every pixel, and the entries of the legend.
function shown() {
  const { answer, view } = state;
  if (view === "photo") return { entries: [], label: () => -1 };
  const { width, height } = answer.shown;
  if (view === "classes") {
    const entries = [...answer.classes].sort((a, b) => b.pixels - a.pixels || a.index - b.index);
    return { entries, label: (x, y) => answer.pixels[y * width + x] };
  }
  const stage = answer.stages[Number(view.slice(5))];
  const column = (x) => Math.min(stage.columns - 1, Math.floor((x * stage.columns) / width));
  const row = (y) => Math.min(stage.rows - 1, Math.floor((y * stage.rows) / height));
  const entries = stage.groups.map((group) => ({ ...group, name: `Group ${group.index}` }));
  return { entries, label: (x, y) => stage.labels[row(y) * stage.columns + column(x)] };
}

function draw() {
  const canvas = at("labels");
  const { width, height } = canvas;
  const context = canvas.getContext("2d");
  const { entries, label } = shown();
  const picture = context.createImageData(width, height);
  const opacity = Math.round(2.55 * at("opacity").value);
  const colours = new Map(entries.map((entry) => [entry.index, [...rgb(entry.colour),
    entry.name === "background" && entry.index === 0 ? opacity / 2 : opacity]]));
  const labels = new Int32Array(width * height);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) labels[y * width + x] = label(x, y);
  for (let place = 0; place < labels.length; place++) {
    const own = labels[place];
    const colour = state.hidden.has(own) ? null : colours.get(own);
    const x = place % width;
    const edge = (x + 1 < width && labels[place + 1] !== own)
      || (place + width < labels.length && labels[place + width] !== own);
    const seen = colour || (edge && !allHidden(labels, place, width));
    if (!seen || !opacity) continue;
    picture.data.set(edge ? [255, 255, 255, Math.max(opacity, 150)] : colour, 4 * place);
  }
  context.putImageData(picture, 0, 0);
  canvas.setAttribute("aria-label", entries.map((entry) => `${entry.name} ${percent(entry.share)}`).join(", "));
}

// Whether an edge lies between regions that are all turned off.
function allHidden(labels, place, width) {
  return [place, place + 1, place + width].every(
    (each) => each >= labels.length || state.hidden.has(labels[each]));
}

const rgb = (css) => [1, 3, 5].map((place) => parseInt(css.slice(place, place + 2), 16));
const percent = (share) =>
  share > 0 && share < 0.001 ? "<0.1 %" : share < 1 && share > 0.999 ? ">99.9 %" : `${(100 * share).toFixed(1)} %`;

function list() {
  at("legend").replaceChildren(...shown().entries.map((entry) => {
    const item = document.createElement("li");
    const label = document.createElement("label");
    const box = document.createElement("input");
    Object.assign(box, { type: "checkbox", checked: !state.hidden.has(entry.index) });
    box.dataset.index = entry.index;
    box.addEventListener("change", () => turn(entry.index, box.checked));
    const [chip, name, share] = ["chip", "name", "share"].map((kind) => {
      const span = document.createElement("span");
      span.className = kind;
      return span;
    });
    chip.style.background = entry.colour;
    name.textContent = name.title = entry.name;
    name.dir = "auto";
    share.textContent = percent(entry.share);
    if (entry.score !== undefined && entry.share > 0) share.title = `mean score ${entry.score.toFixed(2)}`;
    label.classList.toggle("none", entry.share === 0);
    label.append(box, chip, name, share);
    item.append(label);
    return item;
  }));
}

function turn(index, on) {
  if (on) state.hidden.delete(index);
  else state.hidden.add(index);
  draw();
}

at("opacity").addEventListener("input", draw);

at("labels").addEventListener("pointermove", (event) => {
  const canvas = at("labels");
  const box = canvas.getBoundingClientRect();
  const x = Math.floor(((event.clientX - box.left) / box.width) * canvas.width);
  const y = Math.floor(((event.clientY - box.top) / box.height) * canvas.height);
  const { entries, label } = shown();
  const entry = entries.find((each) => each.index === label(x, y));
  at("tip").hidden = !entry;
  if (!entry) return;
  at("tip").textContent = entry.name;
  const room = at("canvas").getBoundingClientRect();
  at("tip").style.left = `${event.clientX - room.left}px`;
  at("tip").style.top = `${event.clientY - room.top}px`;
});
at("labels").addEventListener("pointerleave", () => (at("tip").hidden = true));

at("picture").addEventListener("click", () => {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: at("photo").width, height: at("photo").height });
  const context = canvas.getContext("2d");
  context.drawImage(at("photo"), 0, 0);
  context.drawImage(at("labels"), 0, 0);
  const link = document.createElement("a");
  link.download = `${stem()}_${state.view}.png`;
  link.href = canvas.toDataURL("image/png");
  link.click();
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("textarea, input[type=number], select");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !state.answer) return;
  if (/^[1-9]$/.test(event.key)) {
    const box = at("legend").querySelectorAll("input")[Number(event.key) - 1];
    if (!box) return;
    box.checked = !box.checked;
    turn(Number(box.dataset.index), box.checked);
  } else if (event.key.toLowerCase() === "v") {
    const views = [...at("views").querySelectorAll("input")].map((input) => input.value);
    look(views[(views.indexOf(state.view) + 1) % views.length]);
  } else if ("+=-".includes(event.key)) {
    at("opacity").value = Number(at("opacity").value) + (event.key === "-" ? -10 : 10);
    draw();
  }
});

// ---- what the server offers -----------------------------------------------------------------

const model = await (await fetch("api/model")).json();
at("model").textContent = at("model").title = `${model.weights} · pgseg ${model.version}`;
at("threshold").value = model.threshold;
for (const [id, names] of [["refine", model.refinements], ["templates", model.templates]]) {
  at(id).replaceChildren(...names.map((name) => new Option(name, name)));
}
model.vocabularies.filter((name) => !name.includes("/")).forEach((name, place) => {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", textContent: name });
  button.addEventListener("click", () => (at("classes").value = name));
  at("lists").append(...(place ? [", "] : []), button);
});
