"""User agents of people and bots that request links."""

_ANDROID = "Mozilla/5.0 (Linux; Android 14; SM-S911B Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko)"
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
_WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"

PEOPLE = {
    "Chrome": f"{_WINDOWS} Chrome/142.0.0.0 Safari/537.36",
    "Chrome, Android": "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Mobile Safari/537.36",
    "Chrome, iPhone": f"{_IPHONE} CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1",
    "Firefox": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Firefox, Android": "Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0",
    "Safari": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/26.1 Safari/605.1.15",
    "Safari, iPhone": f"{_IPHONE} Version/26.1 Mobile/15E148 Safari/604.1",
    "Edge": f"{_WINDOWS} Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
    "Opera": f"{_WINDOWS} Chrome/141.0.0.0 Safari/537.36 OPR/125.0.0.0",
    "Opera Mini": "Opera/9.80 (Android; Opera Mini/36.2.2254/119.132; U; id) Presto/2.12.423 Version/12.16",
    "Yandex": f"{_WINDOWS} Chrome/140.0.0.0 YaBrowser/25.10.0.0 Safari/537.36",
    "Yandex, Android": "Mozilla/5.0 (Linux; arm_64; Android 14; SM-A556E) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 YaBrowser/25.10.1.120.00 SA/3 Mobile Safari/537.36",
    "Yandex, app": "Mozilla/5.0 (Linux; arm_64; Android 13; 2201117TY) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/136.0.7103.125 YaApp_Android/25.76.1/apad YaSearchBrowser/25.76.1/apad BroPP/1.0 SA/3 Mobile Safari/537.36",
    "Samsung": "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    "SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36",
    "Xiaomi": "Mozilla/5.0 (Linux; U; Android 13; ru-ru; 2201117TY Build/TP1A.220624.014) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Version/4.0 Chrome/112.0.5615.136 Mobile Safari/537.36 XiaoMi/MiuiBrowser/14.22.0-gn",
    "a phone called CUBOT": "Mozilla/5.0 (Linux; Android 11; CUBOT NOTE 20) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/120.0.0.0 Mobile Safari/537.36",
    "Google app": f"{_IPHONE} GSA/370.0.761181463 Mobile/15E148 Safari/604.1",
    "DuckDuckGo": f"{_IPHONE} Version/18.5 Mobile/15E148 DuckDuckGo/7 Safari/605.1.15",
    "in VK, Android": f"{_ANDROID} Version/4.0 Chrome/126.0.6478.122 Mobile Safari/537.36 "
    "VKAndroidApp/8.90-24042 (Android 13; SDK 33; arm64-v8a; samsung SM-A525F; ru; 2400x1080)",
    "in VK, iPhone": f"{_IPHONE} Mobile/15E148 com.vk.vkclient/8.89-3204 (iPhone, iOS 17.5.1, iPhone14,5, Scale/3.0)",
    "in Telegram, Android": f"{_ANDROID} Version/4.0 Chrome/131.0.6778.39 Mobile Safari/537.36 "
    "Telegram-Android/11.3.3 (Google Pixel 7; Android 14; SDK 34; AVERAGE)",
    "in Telegram, iPhone": f"{_IPHONE} Mobile/15E148 Telegram-iOS/11.2",
    "in Instagram, iPhone": f"{_IPHONE} Mobile/22F76 Instagram 382.0.0.28.81 (iPhone14,5; iOS 18_5; ru_RU; ru; "
    "scale=3.00; 1170x2532; 742217234; IABMV/1)",
    "in Instagram, Android": f"{_ANDROID} Version/4.0 Chrome/137.0.7151.61 Mobile Safari/537.36 "
    "Instagram 382.0.0.49.84 Android (34/14; 480dpi; 1080x2115; samsung; SM-S911B; dm1q; qcom; ru_RU; 743100100)",
    "in Threads": f"{_IPHONE} Mobile/22F76 Barcelona 382.0.0.29.81 (iPhone14,5; iOS 18_5; ru_RU; ru; scale=3.00)",
    "in Facebook, iPhone": f"{_IPHONE} Mobile/22F76 [FBAN/FBIOS;FBAV/516.0.0.42.81;FBBV/1;FBDV/iPhone14,5]",
    "in Facebook, Android": f"{_ANDROID} Version/4.0 Chrome/137.0.7151.61 Mobile Safari/537.36 "
    "[FB_IAB/FB4A;FBAV/516.0.0.35.86;]",
    "in Facebook, Android, no Mozilla": "[FBAN/FB4A;FBAV/570.0.0.44.71;FBBV/900000001;"
    "FBDM/{density=2.625,width=1080,height=2400};FBLC/pl_PL;FBCR/Play;FBMF/Xiaomi;FBBD/Redmi;"
    "FBPN/com.facebook.katana;FBDV/22101316G;FBSV/14;FBOP/1;FBCA/arm64-v8a:;]",
    "in Facebook, no Mozilla, other order": "[FB_IAB/FB4A;FBAV/566.0.0.10.50;IABMV/1;]",
    "in Facebook, a phone and an operator with names like bots'": "[FBAN/FB4A;FBAV/560.0.0.1.1;"
    "FBCR/Spider Mobile;FBMF/CUBOT;FBDV/KING KONG bot;FBSV/13;]",
    "in Facebook Lite": "[FBAN/EMA;FBAV/480.0.0.8.107;FBLC/ru_RU;FBDV/SM-A155F;]",
    "in Facebook, iPhone, no Mozilla": "[FBAN/FBIOS;FBAV/516.0.0.42.81;FBBV/1;FBDV/iPhone14,5;FBMD/iPhone;FBSN/iOS;]",
    "in Messenger, Android, no Mozilla": "[FB_IAB/MESSENGER;FBAV/480.0.0.30.109;]",
    "in Messenger, Orca": "[FBAN/Orca-Android;FBAV/480.0.0.30.109;FBPN/com.facebook.orca;FBLC/de_DE;FBSV/15;]",
    "in Messenger, iPhone, no Mozilla": "[FBAN/MessengerForiOS;FBAV/480.0.0.30.106;FBDV/iPhone15,2;FBSN/iOS;]",
    "in Instagram, no Mozilla": "Instagram 382.0.0.28.81 (iPhone14,5; iOS 18_5; ru_RU; ru; scale=3.00; 1170x2532; "
    "742217234) AppleWebKit/420+",
    "in Instagram, Android, no Mozilla": "Instagram 382.0.0.49.84 Android (34/14; 480dpi; 1080x2115; samsung; "
    "SM-S911B; dm1q; qcom; ru_RU; 743100100)",
    "in Threads, no Mozilla": "Barcelona 382.0.0.29.81 Android (34/14; 480dpi; 1080x2115; samsung; SM-S911B; dm1q)",
    "Internet Explorer 11": "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
    "Internet Explorer 10": "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)",
    "Konqueror": "Mozilla/5.0 (compatible; Konqueror/4.14; Linux) KHTML/4.14.30 (like Gecko)",
    "UC Browser": "UCWEB/2.0 (Java; U; MIDP-2.0; ru; nokia5250) U2/1.0.0 UCBrowser/9.5.0.449 U2/1.0.0 Mobile",
    "Pale Moon": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Goanna/20251101 PaleMoon/33.9.1",
    "a scanner of QR codes": f"{_IPHONE} Mobile/15E148 QRScanner/5.2",
    "in WhatsApp": f"{_ANDROID} Version/4.0 Chrome/137.0.7151.61 Mobile Safari/537.36 WhatsApp/2.25.16.81",
    "in Viber": f"{_IPHONE} Mobile/15E148 Viber/23.1",
    "in Slack": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Slack/4.43.51 Chrome/134.0.0.0 Electron/35.1.4 Safari/537.36",
    "in Odnoklassniki": f"{_ANDROID} Version/4.0 Chrome/126.0.0.0 Mobile Safari/537.36 OkApp",
    "in TikTok": f"{_IPHONE} Mobile/15E148 musical_ly_40.1.0 JsSdk/2.0 NetType/WIFI BytedanceWebview/d8a21c6",
    "in Pinterest": f"{_IPHONE} Mobile/22F76 [Pinterest/iOS]",
    "in Snapchat": f"{_IPHONE} Mobile/15E148 Snapchat/13.45.0.40 (like Safari/8621.2.5, panda)",
    "in LinkedIn": f"{_IPHONE} Mobile/15E148 [LinkedInApp]/9.31",
    "in X": f"{_IPHONE} Mobile/22F76 Twitter for iPhone/11.2",
    "in WeChat": f"{_IPHONE} Mobile/15E148 MicroMessenger/8.0.60(0x18003c2d) NetType/WIFI Language/ru",
    "in Reddit": f"{_IPHONE} Mobile/15E148 Reddit/2025.20.0",
}

BOTS = {
    "Telegram": "TelegramBot (like TwitterBot)",
    "VK": "Mozilla/5.0 (compatible; vkShare; +http://vk.com/dev/Share)",
    "WhatsApp": "WhatsApp/2.23.20.0",
    "WhatsApp, Android": "WhatsApp/2.24.1.6 A",
    "Viber": "Viber/13.3.0.5 CFNetwork/1220.1 Darwin/20.3.0",
    "Slack": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Slack, images": "Slack-ImgProxy (+https://api.slack.com/robots)",
    "Facebook": "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "Meta": "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)",
    "Mastodon": "Mastodon/4.4.3 (http.rb/5.3.1; +https://mastodon.social/)",
    "Mastodon, older": "http.rb/5.1.1 (Mastodon/4.2.10; +https://mastodon.social/) Bot",
    "Pleroma": "Pleroma 2.6.2; https://pleroma.example <admin@pleroma.example>",
    "Misskey": "Misskey/2024.3.1 (https://misskey.io)",
    "Pixelfed": "(Pixelfed/0.12.4; +https://pixelfed.social)",
    "Lemmy": "Lemmy/0.19.3; +https://lemmy.world",
    "GoToSocial": "gotosocial/0.17.0 (+https://gts.example)",
    "Bluesky": "Mozilla/5.0 (compatible; Bluesky Cardyb/1.1; +mailto:support@bsky.app)",
    "Discord": "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "Skype and Teams": "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 "
    "skype-url-preview@microsoft.com",
    "X": "Twitterbot/1.0",
    "LinkedIn": "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
    "Odnoklassniki": "OdklBot/1.0 (share@odnoklassniki.ru)",
    "iMessage": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) "
    "Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0",
    "Google": "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Yandex": "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "Mail.ru": "Mozilla/5.0 (compatible; Linux x86_64; Mail.RU_Bot/2.0; "
    "+https://help.mail.ru/webmaster/indexing/robots)",
    "headless Chrome": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "HeadlessChrome/142.0.0.0 Safari/537.36",
    "GPTBot": "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "Perplexity, for a person": "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Perplexity-User/1.0; "
    "+https://perplexity.ai/perplexity-user)",
    "ChatGPT, for a person": "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; ChatGPT-User/1.0; "
    "+https://openai.com/bot",
    "Claude, for a person": "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Claude-User/1.0; "
    "+Claude-User@anthropic.com)",
    "Mistral, for a person": "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; MistralAI-User/1.0; "
    "+https://docs.mistral.ai/robots)",
    "DuckAssist": "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; DuckAssistBot/1.2; "
    "+http://duckduckgo.com/duckassistbot.html)",
    "Meta, for a person": "meta-externalfetcher/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)",
    "Meta, for a person, as a browser": f"{_WINDOWS} Chrome/142.0.0.0 Safari/537.36 meta-externalfetcher/1.1",
    "an assistant in a browser's clothes": f"{_WINDOWS} Chrome/142.0.0.0 Safari/537.36 Kettle-User/2.0",
    "an assistant beside the platform": "Mozilla/5.0 (Linux; Android 10; K; Kettle-User/2.0) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
    "an assistant that gives an address": f"{_WINDOWS} Chrome/142.0.0.0 Safari/537.36 Kettle/1 (+https://kettle.example)",
    "an assistant that gives an e-mail": f"{_WINDOWS} Chrome/142.0.0.0 Safari/537.36 (help@kettle.example)",
    "Google's assistant": f"{_WINDOWS} Chrome/142.0.0.0 Safari/537.36 (compatible; GoogleAgent-Mariner; "
    "+https://developers.google.com/crawling)",
    "Google Safety": f"{_WINDOWS} Chrome/142.0.0.0 Safari/537.36 Google-Safety",
    "Google Safety alone": "Google-Safety",
    "Google NotebookLM": f"{_WINDOWS} Chrome/142.0.0.0 Safari/537.36 Google-NotebookLM",
    "Google Read Aloud": f"{_WINDOWS} Chrome/142.0.0.0 Safari/537.36 Google-Read-Aloud",
    "Gmail, a sample": f"{_WINDOWS} Chrome/119.0.0.0 Safari/537.36 Edge/12.246 Gmail-content-sampling",
    "Gemini": f"{_WINDOWS} Chrome/142.0.0.0 Safari/537.36 Gemini-Deep-Research",
    "a mail gateway": f"{_WINDOWS} Chrome/142.0.0.0 Safari/537.36 Proofpoint",
    "Gmail, pictures": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "Yahoo Mail, pictures": "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
    "a mail scanner": f"{_WINDOWS} Chrome/142.0.0.0 Safari/537.36 Kettle-link-sampling/1.0",
    "Outlook, before it asks": "Mozilla/4.0 (compatible; ms-office; MSOffice 16)",
    "a fetcher": f"{_WINDOWS} Chrome/142.0.0.0 Safari/537.36 KettleFetcher/1.0",
    "bare Mozilla": "Mozilla/5.0",
    "bare Mozilla 4": "Mozilla/4.0",
    "bare Mozilla, with nothing in brackets": "Mozilla/5.0 ()",
    "Mozilla and a system": "Mozilla/5.0 (Windows NT 10.0; Win64; x64)",
    "Mozilla, compatible": "Mozilla/5.0 (compatible)",
    "Mozilla and an engine without a system": "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0",
    "Facebook's preview in an app's brackets": "[FBAN/FB4A;FBAV/1;] facebookexternalhit/1.1",
    "Dalvik": "Dalvik/2.1.0 (Linux; U; Android 14; SM-S911B Build/UP1A.231005.007)",
    "curl": "curl/8.5.0",
    "Python": "python-requests/2.32.3",
    "Go": "Go-http-client/2.0",
    "Android library": "okhttp/4.12.0",
    "Node": "node",
    "nameless": "",
    "blank": "   ",
}
