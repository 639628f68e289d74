// The page's entry: theme and colours first, then the address, then the frame.
import { mount } from 'svelte';
import App from './App.svelte';
import './app.css';
import { paintPalette } from './colour';
import { startNavigation } from './navigation.svelte';
import { startTheme } from './theme.svelte';

paintPalette(document.documentElement.style);
startTheme();
startNavigation();
mount(App, { target: document.getElementById('app')! });
