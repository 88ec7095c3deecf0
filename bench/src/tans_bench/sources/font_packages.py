"""The font packages of Debian that scripts are drawn with.

Names are without their prefix ``fonts-``; those that have none are written ``debian:NAME``.
"""

WESTERN = (
    "3270 adf-accanthis adf-ikarius adf-romande adf-tribun agave anonymous-pro apropal "
    "averia-sans-gwf averia-serif-gwf b612 bajaderka beteckna blankenburg breip cabin cabinsketch "
    "cantarell cardo cherrybomb cmu comfortaa comic-neue courier-prime crosextra-caladea "
    "dancingscript dejavu-core dejavu-extra dkg-handwriting dosis dustin ebgaramond ecolier-court "
    "engadget essays1743 evertype-conakry f500 fantasma fantasque-sans fanwood femkeklaver "
    "firacode freefont-otf georgewilliams gfs-artemisia gfs-baskerville gfs-bodoni-classic "
    "gfs-complutum gfs-didot gfs-didot-classic gfs-gazis gfs-neohellenic gfs-olga gfs-porson "
    "gfs-solomos gfs-theokritos go gotico-antiqua goudybookletter hermit humor-sans inconsolata "
    "inter isabella jetbrains-mono junicode jura karla kaushanscript klaudia-berenika kristi lato "
    "league-mono leckerli-one lemonada levien-museum levien-typoscript liberation2 lindenhill "
    "linuxlibertine lobster lobstertwo manrope monofur monoid mononoki mph-2b-damase noto-core "
    "ocr-a okolaks oldstandard open-sans opendyslexic oxygen paratype play prociono quattrocento "
    "quicksand radisnoir roboto-slab roboto-unhinted rufscript sil-andika sil-charis sil-galatia "
    "sil-gentiumplus sjfonts sora staypuft stix summersby tiresias triod-postnaja tuffy "
    "ubuntu-title unifont uralic urw-base35 vollkorn yanone-kaffeesatz"
)
"""With Latin, and many with Cyrillic or Greek letters."""

EUROPEAN = WESTERN.replace("uralic ", "")
"""The same without one that draws Uralic letters in the place of some others."""

JAPANESE = (
    "aoyagi-kouzan-t aoyagi-soseki arphic-ukai arphic-uming dejima-mincho dotgothic16 "
    "droid-fallback horai-umefont ipafont-gothic ipafont-mincho kiloji komatuna konatu "
    "kouzan-mouhitsu misaki mona morisawa-bizud-gothic morisawa-bizud-mincho motoya-l-cedar "
    "motoya-l-maruberi mplus oradano-mincho-gsrr rampart reggae ricty-diminished rocknroll "
    "sawarabi-gothic sawarabi-mincho seto smiley-sans stick train vlgothic yozvox-yozfont-antique "
    "yusei-magic"
)
"""With hiragana and katakana."""

CHINESE = (
    "arphic-bkai00mp arphic-gbsn00lp arphic-gkai00mp cwtex-fs cwtex-heib cwtex-kai cwtex-ming "
    "cwtex-yen ipamj-mincho klee lxgw-wenkai migmix monapo noto-cjk takao-gothic takao-mincho "
    "umeplus wqy-microhei wqy-zenhei yozvox-yozfont-edu"
)
"""With the characters that Chinese and Japanese share, beside the Japanese ones."""

MATHS = "lmodern oflb-asana-math symbola texgyre texgyre-math"
"""With mathematical symbols, beside the Western ones."""

WIDE = "dejavu-core dejavu-extra freefont-otf mph-2b-damase noto-core noto-extra unifont"
"""With a little of many scripts."""

ARABIC = (
    "arabeyes farsiweb freefarsi hosny-amiri hosny-thabit kacst kacst-one lemonada nafees paktype "
    "sil-alkalami sil-awami-nastaliq sil-harmattan sil-lateef sil-scheherazade ukij-uyghur "
    "unikurdweb"
)
BENGALI = "beng-extra lohit-beng-assamese lohit-beng-bengali"
DEVANAGARI = (
    "aksharyogini2 deva-extra gargi lohit-deva lohit-deva-marathi nakula sahadeva samyak-deva "
    "sarai sil-annapurna"
)
ETHIOPIC = "senamirmir-washra sil-abyssinica"
GEORGIAN = "bpg-georgian"
GUJARATI = "gujr-extra kalapi lohit-gujr samyak-gujr yrsa-rasa"
HANGUL = (
    "alee baekmuk lexi-gulim lexi-saebom nanum nanum-eco nanum-extra naver-d2coding noto-cjk "
    "unfonts-core unfonts-extra unifont woowa-bm"
)
HEBREW = "debian:culmus debian:culmus-fancy cardo ldco liberation2 sil-ezra"
MALAYALAM = (
    "lohit-mlym rit-sundar samyak-mlym smc-anjalioldlipi smc-chilanka smc-dyuthi smc-gayathri "
    "smc-karumbi smc-keraleeyam smc-manjari smc-meera smc-rachana smc-raghumalayalamsans "
    "smc-suruma smc-uroob"
)
MYANMAR = "myanmar sil-padauk"
SINHALA = "gemunu-libre lklug-sinhala"
TAMIL = "lohit-taml lohit-taml-classical meera-inimai samyak-taml taml-tscu"
TELUGU = "lohit-telu telu-extra teluguvijayam"
THAI = (
    "arundina tlwg-garuda-otf tlwg-kinnari-otf tlwg-laksaman-otf tlwg-loma-otf tlwg-mono-otf "
    "tlwg-norasi-otf tlwg-purisa-otf tlwg-sawasdee-otf tlwg-typewriter-otf tlwg-typist-otf "
    "tlwg-typo-otf tlwg-umpush-otf tlwg-waree-otf"
)

DISPLAY = (
    "blankenburg breip cabinsketch cherrybomb courier-prime dancingscript dotgothic16 dustin "
    "ebgaramond ecolier-court f500 humor-sans isabella kaushanscript ocr-a rampart roboto-slab "
    "staypuft stick train yanone-kaffeesatz"
)
"""With Latin letters that differ from all others at a glance."""

LICENCES = "OFL-1.1 AND Bitstream-Vera AND GPL-3.0-or-later WITH Font-exception-2.0"
ARABIC_LICENCES = "GPL-2.0-only AND OFL-1.1 AND GPL-2.0-or-later WITH Font-exception-2.0"
CHINESE_LICENCES = "OFL-1.1 AND GPL-2.0-or-later AND IPA AND Arphic-1999"
HANGUL_LICENCES = "OFL-1.1 AND GPL-2.0-or-later AND Artistic-2.0"
MATHS_LICENCES = f"{LICENCES} AND LicenseRef-GUST-Font-License"
WORLD_LICENCES = "OFL-1.1 AND GPL-2.0-or-later WITH Font-exception-2.0 AND Bitstream-Vera"
"""The commonest; each package names its own in its copyright file."""
