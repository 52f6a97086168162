import { mount } from 'svelte';
import './app.css';
import './components.css';
import './segments.css';
import App from './App.svelte';
import { useLanguage } from './i18n';
import { wantedLanguage } from './i18n/language.svelte';

const target = document.getElementById('app');
const show = () => target && mount(App, { target });
// Without the file of another language, the page is in English.
useLanguage(wantedLanguage()).then(show, show);
