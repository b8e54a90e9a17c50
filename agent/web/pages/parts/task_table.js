// A table of tasks, one page of it at a time: the server sorts, filters and cuts. Everything from a task is text.
export default {
  template: `
    <div class="task-table-box" ref="box">
      <table class="task-table">
        <caption class="hidden-text">Tasks</caption>
        <thead>
          <tr>
            <th scope="col" v-if="choosing"><input type="checkbox" aria-label="Choose all on this page" :checked="allChosen" @change="chooseAll"></th>
            <th v-for="column in columns" :key="column.name" scope="col" :class="column.css"
                :aria-sort="sort === column.name ? (descending ? 'descending' : 'ascending') : null">
              <button v-if="column.sortable" type="button" @click="$emit('sort', column.name)">
                {{ column.label }} <span aria-hidden="true">{{ sort === column.name ? (descending ? '↓' : '↑') : '' }}</span>
              </button>
              <template v-else>{{ column.label }}</template>
            </th>
            <th scope="col" v-if="choosing"><span class="hidden-text">Actions</span></th>
          </tr>
        </thead>
        <tbody>
          <tr v-for="row in rows" :key="row.key" :class="{ chosen: chosen.includes(row.key) }" :data-task="row.task_id">
            <td class="pick" v-if="choosing"><input type="checkbox" :aria-label="'Choose ' + row.task_id" :checked="chosen.includes(row.key)" @change="choose(row.key)"></td>
            <td class="state"><span class="chip" :class="'s-' + row.state">{{ row.state_label }}</span></td>
            <td class="name"><a class="task" :href="row.href" @keydown="onKey($event, row)">{{ row.task_id }}</a><div class="reason">{{ row.reason }}</div></td>
            <td class="what clip" :title="row.what">{{ row.what }}</td>
            <td class="host nowrap">{{ row.host }}</td>
            <td class="labels"><div><span class="tag" v-for="label in row.labels" :key="label" :title="label">{{ label }}</span></div></td>
            <td class="when nowrap"><time :datetime="row.changed_at" :title="local(row.changed_at)">{{ ago(row.changed_at, now) }}</time></td>
            <td class="took number">{{ lasted(row.duration_s) }}</td>
            <td class="more" v-if="choosing">
              <button type="button" class="icon-button" :aria-label="'Actions for ' + row.task_id" aria-haspopup="menu" v-if="row.actions.length">⋯
                <q-menu auto-close anchor="bottom right" self="top right">
                  <q-list dense style="min-width: 9rem">
                    <q-item v-for="action in row.actions" :key="action.name" clickable :class="{ 'danger': action.name === 'cancel' }"
                            @click="$emit('act', { key: row.key, action: action.name })">
                      <q-item-section>{{ action.label }}</q-item-section>
                    </q-item>
                  </q-list>
                </q-menu>
              </button>
            </td>
          </tr>
        </tbody>
      </table>
      <div class="empty" v-if="!rows.length">{{ empty }}</div>
    </div>`,
  props: { rows: Array, columns: Array, sort: String, descending: Boolean, chosen: Array, choosing: Boolean, empty: String },
  emits: ["sort", "choose", "act"],
  data() {
    return { now: Date.now() };
  },
  computed: {
    allChosen() {
      return this.rows.length > 0 && this.rows.every((row) => this.chosen.includes(row.key));
    },
  },
  mounted() {
    this.ticking = setInterval(() => (this.now = Date.now()), 5000);
    document.addEventListener("keydown", this.onPageKey);
  },
  unmounted() {
    clearInterval(this.ticking);
    document.removeEventListener("keydown", this.onPageKey);
  },
  updated() {
    this.now = Date.now();
  },
  methods: {
    ago: (iso, now) => window.aispool.ago(iso, now),
    local: (iso) => window.aispool.local(iso),
    lasted: (seconds) => window.aispool.lasted(seconds),
    choose(key) {
      this.$emit("choose", this.chosen.includes(key) ? this.chosen.filter((k) => k !== key) : [...this.chosen, key]);
    },
    chooseAll() {
      this.$emit("choose", this.allChosen ? [] : this.rows.map((row) => row.key));
    },
    links() {
      return [...this.$refs.box.querySelectorAll("a.task")];
    },
    onKey(event, row) {
      if (event.key === "x" && this.choosing) {
        event.preventDefault();
        this.choose(row.key);
      }
    },
    onPageKey(event) {
      const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) && event.target.type !== "checkbox";
      if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector(".q-dialog, .q-menu")) return;
      const step = { j: 1, k: -1 }[event.key];
      if (!step) return;
      const links = this.links();
      const at = links.indexOf(document.activeElement);
      const next = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : at + step];
      if (next) {
        event.preventDefault();
        next.focus();
        next.scrollIntoView({ block: "nearest" });
      }
    },
  },
};
