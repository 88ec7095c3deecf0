// What the page does in the browser itself: it sends files by the routes of the service, and tells
// Python what was chosen. Ids of datasets and jobs are kept until the tab is closed.
window.tans = (() => {
  const API = "api/v1";
  const keep = (name, id) => id ? sessionStorage.setItem(`tans.${name}`, id) : sessionStorage.removeItem(`tans.${name}`);
  const kept = (name) => sessionStorage.getItem(`tans.${name}`);

  // Send a file; the answer, or a sentence that says why there is none.
  const send = (path, file, onShare) => new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && onShare(event.loaded / event.total);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) done(request.response);
      else fail(request.response?.detail || `The service answered with ${request.status}.`);
    };
    request.onerror = () => fail("The service was not reached, or it refused the file before all of it was sent. It may be too large.");
    request.send(file);
  });

  const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

  // A field for a file, which can be dropped on it too.
  const field = (element, take) => {
    const input = element.querySelector("input"), told = element.querySelector("[role=status]");
    const alert = element.querySelector("[role=alert]"), drop = element.querySelector(".drop");
    const use = async (file) => {
      if (!file) return;
      alert.textContent = "";
      input.disabled = true;
      try { await take(file, (text) => { told.textContent = text; }); told.textContent = ""; }
      catch (problem) { told.textContent = ""; alert.textContent = sentence(String(problem)); }
      input.disabled = false;
      input.value = "";
    };
    input.addEventListener("change", () => use(input.files[0]));
    for (const kind of ["dragover", "dragleave", "drop"]) drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop") use(event.dataTransfer.files[0]);
    });
  };

  const upload = (element, trigger) => {
    field(element, async (file, tell) => {
      tell("Sending the zip.");
      const path = `${API}/datasets?name=${encodeURIComponent(file.name)}`;
      const answer = await send(path, file, (share) => tell(share < 1 ? `Sending the zip: ${Math.round(100 * share)} %.` : "Reading the images."));
      trigger("upload", { dataset: answer.id });
    });
    // a page that is loaded again goes on where it was
    if (kept("dataset")) trigger("upload", { dataset: kept("dataset"), job: kept("job"), again: true });
  };

  const keeper = (name) => (element, watch) => {
    const note = () => {
      const marked = element.querySelector(`[data-${name}]`);
      keep(name, marked ? marked.dataset[name] : null);
    };
    watch("value", note);
    if (element.querySelector(`[data-${name}]`)) note(); // it was there before anyone watched
  };

  const sliders = (element, trigger) => {
    const inputs = [...element.querySelectorAll("input")];
    const tell = () => trigger("input", Object.fromEntries(inputs.map((input) => [input.name, input.type === "range" ? Number(input.value) : input.checked])));
    let soon, last;
    // what comes while another is answered may be dropped: what was said last is said again
    const move = () => {
      clearTimeout(soon); clearTimeout(last);
      soon = setTimeout(tell, 50); last = setTimeout(tell, 1000);
    };
    for (const input of inputs) input.addEventListener("input", () => {
      if (input.type === "range") {
        const words = input.dataset.words.split("|")[Number(input.value)];
        element.querySelector(`output[for="${input.id}"]`).textContent = words;
        input.setAttribute("aria-valuetext", words);
      }
      move();
    });
  };

  const choices = (element, trigger) => element.addEventListener("click", (event) => {
    const button = event.target.closest("[data-id]");
    if (button) trigger("select", { id: button.dataset.id });
  });

  const node = (name, text, kind) => {
    const made = document.createElement(name);
    made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };

  const said = (answer) => {
    if (answer.label === null) return "Unlike all the images that it learnt from; it would not say.";
    const first = answer.ranked[0];
    return `${answer.label}, with a probability of ${(100 * first.probability).toFixed(1)} %.` + (answer.known === false ? " The image is unlike those that it learnt from." : "");
  };

  const trial = (element) => field(element, async (file, tell) => {
    const job = kept("job"), shown = element.querySelector(".tried");
    tell("Looking at the image.");
    const answer = await send(`${API}/jobs/${job}/predict`, file, () => {});
    const picture = node("img", "");
    picture.src = URL.createObjectURL(file);
    picture.alt = "the image that was tried";
    picture.onload = () => URL.revokeObjectURL(picture.src);
    const list = node("ol", "", "ranked");
    for (const each of answer.ranked) {
      const bar = node("span", "", "bar");
      bar.style.setProperty("--share", `${(100 * each.probability).toFixed(0)}%`);
      const line = node("li", "");
      line.append(node("span", each.label, "name"), bar, node("span", `${(100 * each.probability).toFixed(1)} %`));
      list.append(line);
    }
    const beside = node("div", "");
    beside.append(node("p", said(answer), "lead"), list);
    shown.replaceChildren(picture, beside);
  });

  return { upload, dataset: keeper("dataset"), job: keeper("job"), sliders, choices, trial };
})();
