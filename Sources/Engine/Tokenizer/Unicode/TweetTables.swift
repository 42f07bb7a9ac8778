// Made by tools/make_tweet_tables.py from emoji 2.16.0 and regex 2026.11.19; to remake it,
// run that again.

/// What BERTweet's normalization of tweets knows, as `scalar=name`, and as [low, high, low, high, …], inclusive.
enum TweetTables {
    /// Emoji of one scalar, by name.
    static let emoji: StaticString = """
        A9=:copyright: AE=:registered: 203C=:double_exclamation_mark: 2049=:exclamation_question_mark: \
        2122=:trade_mark: 2139=:information: 2194=:left-right_arrow: 2195=:up-down_arrow: 2196=:up-left_arrow: \
        2197=:up-right_arrow: 2198=:down-right_arrow: 2199=:down-left_arrow: 21A9=:right_arrow_curving_left: \
        21AA=:left_arrow_curving_right: 231A=:watch: 231B=:hourglass_done: 2328=:keyboard: 23CF=:eject_button: \
        23E9=:fast-forward_button: 23EA=:fast_reverse_button: 23EB=:fast_up_button: 23EC=:fast_down_button: \
        23ED=:next_track_button: 23EE=:last_track_button: 23EF=:play_or_pause_button: 23F0=:alarm_clock: \
        23F1=:stopwatch: 23F2=:timer_clock: 23F3=:hourglass_not_done: 23F8=:pause_button: 23F9=:stop_button: \
        23FA=:record_button: 24C2=:circled_M: 25AA=:black_small_square: 25AB=:white_small_square: 25B6=:play_button: \
        25C0=:reverse_button: 25FB=:white_medium_square: 25FC=:black_medium_square: 25FD=:white_medium-small_square: \
        25FE=:black_medium-small_square: 2600=:sun: 2601=:cloud: 2602=:umbrella: 2603=:snowman: 2604=:comet: \
        260E=:telephone: 2611=:check_box_with_check: 2614=:umbrella_with_rain_drops: 2615=:hot_beverage: \
        2618=:shamrock: 261D=:index_pointing_up: 2620=:skull_and_crossbones: 2622=:radioactive: 2623=:biohazard: \
        2626=:orthodox_cross: 262A=:star_and_crescent: 262E=:peace_symbol: 262F=:yin_yang: 2638=:wheel_of_dharma: \
        2639=:frowning_face: 263A=:smiling_face: 2640=:female_sign: 2642=:male_sign: 2648=:Aries: 2649=:Taurus: \
        264A=:Gemini: 264B=:Cancer: 264C=:Leo: 264D=:Virgo: 264E=:Libra: 264F=:Scorpio: 2650=:Sagittarius: \
        2651=:Capricorn: 2652=:Aquarius: 2653=:Pisces: 265F=:chess_pawn: 2660=:spade_suit: 2663=:club_suit: \
        2665=:heart_suit: 2666=:diamond_suit: 2668=:hot_springs: 267B=:recycling_symbol: 267E=:infinity: \
        267F=:wheelchair_symbol: 2692=:hammer_and_pick: 2693=:anchor: 2694=:crossed_swords: 2695=:medical_symbol: \
        2696=:balance_scale: 2697=:alembic: 2699=:gear: 269B=:atom_symbol: 269C=:fleur-de-lis: 26A0=:warning: \
        26A1=:high_voltage: 26A7=:transgender_symbol: 26AA=:white_circle: 26AB=:black_circle: 26B0=:coffin: \
        26B1=:funeral_urn: 26BD=:soccer_ball: 26BE=:baseball: 26C4=:snowman_without_snow: 26C5=:sun_behind_cloud: \
        26C8=:cloud_with_lightning_and_rain: 26CE=:Ophiuchus: 26CF=:pick: 26D1=:rescue_worker’s_helmet: 26D3=:chains: \
        26D4=:no_entry: 26E9=:shinto_shrine: 26EA=:church: 26F0=:mountain: 26F1=:umbrella_on_ground: 26F2=:fountain: \
        26F3=:flag_in_hole: 26F4=:ferry: 26F5=:sailboat: 26F7=:skier: 26F8=:ice_skate: 26F9=:person_bouncing_ball: \
        26FA=:tent: 26FD=:fuel_pump: 2702=:scissors: 2705=:check_mark_button: 2708=:airplane: 2709=:envelope: \
        270A=:raised_fist: 270B=:raised_hand: 270C=:victory_hand: 270D=:writing_hand: 270F=:pencil: 2712=:black_nib: \
        2714=:check_mark: 2716=:multiply: 271D=:latin_cross: 2721=:star_of_David: 2728=:sparkles: \
        2733=:eight-spoked_asterisk: 2734=:eight-pointed_star: 2744=:snowflake: 2747=:sparkle: 274C=:cross_mark: \
        274E=:cross_mark_button: 2753=:red_question_mark: 2754=:white_question_mark: 2755=:white_exclamation_mark: \
        2757=:red_exclamation_mark: 2763=:heart_exclamation: 2764=:red_heart: 2795=:plus: 2796=:minus: 2797=:divide: \
        27A1=:right_arrow: 27B0=:curly_loop: 27BF=:double_curly_loop: 2934=:right_arrow_curving_up: \
        2935=:right_arrow_curving_down: 2B05=:left_arrow: 2B06=:up_arrow: 2B07=:down_arrow: 2B1B=:black_large_square: \
        2B1C=:white_large_square: 2B50=:star: 2B55=:hollow_red_circle: 3030=:wavy_dash: 303D=:part_alternation_mark: \
        3297=:Japanese_congratulations_button: 3299=:Japanese_secret_button: FE0E= FE0F= 1F004=:mahjong_red_dragon: \
        1F0CF=:joker: 1F170=:A_button_(blood_type): 1F171=:B_button_(blood_type): 1F17E=:O_button_(blood_type): \
        1F17F=:P_button: 1F18E=:AB_button_(blood_type): 1F191=:CL_button: 1F192=:COOL_button: 1F193=:FREE_button: \
        1F194=:ID_button: 1F195=:NEW_button: 1F196=:NG_button: 1F197=:OK_button: 1F198=:SOS_button: 1F199=:UP!_button: \
        1F19A=:VS_button: 1F201=:Japanese_here_button: 1F202=:Japanese_service_charge_button: \
        1F21A=:Japanese_free_of_charge_button: 1F22F=:Japanese_reserved_button: 1F232=:Japanese_prohibited_button: \
        1F233=:Japanese_vacancy_button: 1F234=:Japanese_passing_grade_button: 1F235=:Japanese_no_vacancy_button: \
        1F236=:Japanese_not_free_of_charge_button: 1F237=:Japanese_monthly_amount_button: \
        1F238=:Japanese_application_button: 1F239=:Japanese_discount_button: 1F23A=:Japanese_open_for_business_button: \
        1F250=:Japanese_bargain_button: 1F251=:Japanese_acceptable_button: 1F300=:cyclone: 1F301=:foggy: \
        1F302=:closed_umbrella: 1F303=:night_with_stars: 1F304=:sunrise_over_mountains: 1F305=:sunrise: \
        1F306=:cityscape_at_dusk: 1F307=:sunset: 1F308=:rainbow: 1F309=:bridge_at_night: 1F30A=:water_wave: \
        1F30B=:volcano: 1F30C=:milky_way: 1F30D=:globe_showing_Europe-Africa: 1F30E=:globe_showing_Americas: \
        1F30F=:globe_showing_Asia-Australia: 1F310=:globe_with_meridians: 1F311=:new_moon: \
        1F312=:waxing_crescent_moon: 1F313=:first_quarter_moon: 1F314=:waxing_gibbous_moon: 1F315=:full_moon: \
        1F316=:waning_gibbous_moon: 1F317=:last_quarter_moon: 1F318=:waning_crescent_moon: 1F319=:crescent_moon: \
        1F31A=:new_moon_face: 1F31B=:first_quarter_moon_face: 1F31C=:last_quarter_moon_face: 1F31D=:full_moon_face: \
        1F31E=:sun_with_face: 1F31F=:glowing_star: 1F320=:shooting_star: 1F321=:thermometer: \
        1F324=:sun_behind_small_cloud: 1F325=:sun_behind_large_cloud: 1F326=:sun_behind_rain_cloud: \
        1F327=:cloud_with_rain: 1F328=:cloud_with_snow: 1F329=:cloud_with_lightning: 1F32A=:tornado: 1F32B=:fog: \
        1F32C=:wind_face: 1F32D=:hot_dog: 1F32E=:taco: 1F32F=:burrito: 1F330=:chestnut: 1F331=:seedling: \
        1F332=:evergreen_tree: 1F333=:deciduous_tree: 1F334=:palm_tree: 1F335=:cactus: 1F336=:hot_pepper: \
        1F337=:tulip: 1F338=:cherry_blossom: 1F339=:rose: 1F33A=:hibiscus: 1F33B=:sunflower: 1F33C=:blossom: \
        1F33D=:ear_of_corn: 1F33E=:sheaf_of_rice: 1F33F=:herb: 1F340=:four_leaf_clover: 1F341=:maple_leaf: \
        1F342=:fallen_leaf: 1F343=:leaf_fluttering_in_wind: 1F344=:mushroom: 1F345=:tomato: 1F346=:eggplant: \
        1F347=:grapes: 1F348=:melon: 1F349=:watermelon: 1F34A=:tangerine: 1F34B=:lemon: 1F34C=:banana: \
        1F34D=:pineapple: 1F34E=:red_apple: 1F34F=:green_apple: 1F350=:pear: 1F351=:peach: 1F352=:cherries: \
        1F353=:strawberry: 1F354=:hamburger: 1F355=:pizza: 1F356=:meat_on_bone: 1F357=:poultry_leg: \
        1F358=:rice_cracker: 1F359=:rice_ball: 1F35A=:cooked_rice: 1F35B=:curry_rice: 1F35C=:steaming_bowl: \
        1F35D=:spaghetti: 1F35E=:bread: 1F35F=:french_fries: 1F360=:roasted_sweet_potato: 1F361=:dango: 1F362=:oden: \
        1F363=:sushi: 1F364=:fried_shrimp: 1F365=:fish_cake_with_swirl: 1F366=:soft_ice_cream: 1F367=:shaved_ice: \
        1F368=:ice_cream: 1F369=:doughnut: 1F36A=:cookie: 1F36B=:chocolate_bar: 1F36C=:candy: 1F36D=:lollipop: \
        1F36E=:custard: 1F36F=:honey_pot: 1F370=:shortcake: 1F371=:bento_box: 1F372=:pot_of_food: 1F373=:cooking: \
        1F374=:fork_and_knife: 1F375=:teacup_without_handle: 1F376=:sake: 1F377=:wine_glass: 1F378=:cocktail_glass: \
        1F379=:tropical_drink: 1F37A=:beer_mug: 1F37B=:clinking_beer_mugs: 1F37C=:baby_bottle: \
        1F37D=:fork_and_knife_with_plate: 1F37E=:bottle_with_popping_cork: 1F37F=:popcorn: 1F380=:ribbon: \
        1F381=:wrapped_gift: 1F382=:birthday_cake: 1F383=:jack-o-lantern: 1F384=:Christmas_tree: 1F385=:Santa_Claus: \
        1F386=:fireworks: 1F387=:sparkler: 1F388=:balloon: 1F389=:party_popper: 1F38A=:confetti_ball: \
        1F38B=:tanabata_tree: 1F38C=:crossed_flags: 1F38D=:pine_decoration: 1F38E=:Japanese_dolls: \
        1F38F=:carp_streamer: 1F390=:wind_chime: 1F391=:moon_viewing_ceremony: 1F392=:backpack: 1F393=:graduation_cap: \
        1F396=:military_medal: 1F397=:reminder_ribbon: 1F399=:studio_microphone: 1F39A=:level_slider: \
        1F39B=:control_knobs: 1F39E=:film_frames: 1F39F=:admission_tickets: 1F3A0=:carousel_horse: \
        1F3A1=:ferris_wheel: 1F3A2=:roller_coaster: 1F3A3=:fishing_pole: 1F3A4=:microphone: 1F3A5=:movie_camera: \
        1F3A6=:cinema: 1F3A7=:headphone: 1F3A8=:artist_palette: 1F3A9=:top_hat: 1F3AA=:circus_tent: 1F3AB=:ticket: \
        1F3AC=:clapper_board: 1F3AD=:performing_arts: 1F3AE=:video_game: 1F3AF=:bullseye: 1F3B0=:slot_machine: \
        1F3B1=:pool_8_ball: 1F3B2=:game_die: 1F3B3=:bowling: 1F3B4=:flower_playing_cards: 1F3B5=:musical_note: \
        1F3B6=:musical_notes: 1F3B7=:saxophone: 1F3B8=:guitar: 1F3B9=:musical_keyboard: 1F3BA=:trumpet: 1F3BB=:violin: \
        1F3BC=:musical_score: 1F3BD=:running_shirt: 1F3BE=:tennis: 1F3BF=:skis: 1F3C0=:basketball: \
        1F3C1=:chequered_flag: 1F3C2=:snowboarder: 1F3C3=:person_running: 1F3C4=:person_surfing: 1F3C5=:sports_medal: \
        1F3C6=:trophy: 1F3C7=:horse_racing: 1F3C8=:american_football: 1F3C9=:rugby_football: 1F3CA=:person_swimming: \
        1F3CB=:person_lifting_weights: 1F3CC=:person_golfing: 1F3CD=:motorcycle: 1F3CE=:racing_car: \
        1F3CF=:cricket_game: 1F3D0=:volleyball: 1F3D1=:field_hockey: 1F3D2=:ice_hockey: 1F3D3=:ping_pong: \
        1F3D4=:snow-capped_mountain: 1F3D5=:camping: 1F3D6=:beach_with_umbrella: 1F3D7=:building_construction: \
        1F3D8=:houses: 1F3D9=:cityscape: 1F3DA=:derelict_house: 1F3DB=:classical_building: 1F3DC=:desert: \
        1F3DD=:desert_island: 1F3DE=:national_park: 1F3DF=:stadium: 1F3E0=:house: 1F3E1=:house_with_garden: \
        1F3E2=:office_building: 1F3E3=:Japanese_post_office: 1F3E4=:post_office: 1F3E5=:hospital: 1F3E6=:bank: \
        1F3E7=:ATM_sign: 1F3E8=:hotel: 1F3E9=:love_hotel: 1F3EA=:convenience_store: 1F3EB=:school: \
        1F3EC=:department_store: 1F3ED=:factory: 1F3EE=:red_paper_lantern: 1F3EF=:Japanese_castle: 1F3F0=:castle: \
        1F3F3=:white_flag: 1F3F4=:black_flag: 1F3F5=:rosette: 1F3F7=:label: 1F3F8=:badminton: 1F3F9=:bow_and_arrow: \
        1F3FA=:amphora: 1F3FB=:light_skin_tone: 1F3FC=:medium-light_skin_tone: 1F3FD=:medium_skin_tone: \
        1F3FE=:medium-dark_skin_tone: 1F3FF=:dark_skin_tone: 1F400=:rat: 1F401=:mouse: 1F402=:ox: \
        1F403=:water_buffalo: 1F404=:cow: 1F405=:tiger: 1F406=:leopard: 1F407=:rabbit: 1F408=:cat: 1F409=:dragon: \
        1F40A=:crocodile: 1F40B=:whale: 1F40C=:snail: 1F40D=:snake: 1F40E=:horse: 1F40F=:ram: 1F410=:goat: 1F411=:ewe: \
        1F412=:monkey: 1F413=:rooster: 1F414=:chicken: 1F415=:dog: 1F416=:pig: 1F417=:boar: 1F418=:elephant: \
        1F419=:octopus: 1F41A=:spiral_shell: 1F41B=:bug: 1F41C=:ant: 1F41D=:honeybee: 1F41E=:lady_beetle: 1F41F=:fish: \
        1F420=:tropical_fish: 1F421=:blowfish: 1F422=:turtle: 1F423=:hatching_chick: 1F424=:baby_chick: \
        1F425=:front-facing_baby_chick: 1F426=:bird: 1F427=:penguin: 1F428=:koala: 1F429=:poodle: 1F42A=:camel: \
        1F42B=:two-hump_camel: 1F42C=:dolphin: 1F42D=:mouse_face: 1F42E=:cow_face: 1F42F=:tiger_face: \
        1F430=:rabbit_face: 1F431=:cat_face: 1F432=:dragon_face: 1F433=:spouting_whale: 1F434=:horse_face: \
        1F435=:monkey_face: 1F436=:dog_face: 1F437=:pig_face: 1F438=:frog: 1F439=:hamster: 1F43A=:wolf: 1F43B=:bear: \
        1F43C=:panda: 1F43D=:pig_nose: 1F43E=:paw_prints: 1F43F=:chipmunk: 1F440=:eyes: 1F441=:eye: 1F442=:ear: \
        1F443=:nose: 1F444=:mouth: 1F445=:tongue: 1F446=:backhand_index_pointing_up: \
        1F447=:backhand_index_pointing_down: 1F448=:backhand_index_pointing_left: \
        1F449=:backhand_index_pointing_right: 1F44A=:oncoming_fist: 1F44B=:waving_hand: 1F44C=:OK_hand: \
        1F44D=:thumbs_up: 1F44E=:thumbs_down: 1F44F=:clapping_hands: 1F450=:open_hands: 1F451=:crown: \
        1F452=:woman’s_hat: 1F453=:glasses: 1F454=:necktie: 1F455=:t-shirt: 1F456=:jeans: 1F457=:dress: 1F458=:kimono: \
        1F459=:bikini: 1F45A=:woman’s_clothes: 1F45B=:purse: 1F45C=:handbag: 1F45D=:clutch_bag: 1F45E=:man’s_shoe: \
        1F45F=:running_shoe: 1F460=:high-heeled_shoe: 1F461=:woman’s_sandal: 1F462=:woman’s_boot: 1F463=:footprints: \
        1F464=:bust_in_silhouette: 1F465=:busts_in_silhouette: 1F466=:boy: 1F467=:girl: 1F468=:man: 1F469=:woman: \
        1F46A=:family: 1F46B=:woman_and_man_holding_hands: 1F46C=:men_holding_hands: 1F46D=:women_holding_hands: \
        1F46E=:police_officer: 1F46F=:people_with_bunny_ears: 1F470=:person_with_veil: 1F471=:person_blond_hair: \
        1F472=:person_with_skullcap: 1F473=:person_wearing_turban: 1F474=:old_man: 1F475=:old_woman: 1F476=:baby: \
        1F477=:construction_worker: 1F478=:princess: 1F479=:ogre: 1F47A=:goblin: 1F47B=:ghost: 1F47C=:baby_angel: \
        1F47D=:alien: 1F47E=:alien_monster: 1F47F=:angry_face_with_horns: 1F480=:skull: 1F481=:person_tipping_hand: \
        1F482=:guard: 1F483=:woman_dancing: 1F484=:lipstick: 1F485=:nail_polish: 1F486=:person_getting_massage: \
        1F487=:person_getting_haircut: 1F488=:barber_pole: 1F489=:syringe: 1F48A=:pill: 1F48B=:kiss_mark: \
        1F48C=:love_letter: 1F48D=:ring: 1F48E=:gem_stone: 1F48F=:kiss: 1F490=:bouquet: 1F491=:couple_with_heart: \
        1F492=:wedding: 1F493=:beating_heart: 1F494=:broken_heart: 1F495=:two_hearts: 1F496=:sparkling_heart: \
        1F497=:growing_heart: 1F498=:heart_with_arrow: 1F499=:blue_heart: 1F49A=:green_heart: 1F49B=:yellow_heart: \
        1F49C=:purple_heart: 1F49D=:heart_with_ribbon: 1F49E=:revolving_hearts: 1F49F=:heart_decoration: \
        1F4A0=:diamond_with_a_dot: 1F4A1=:light_bulb: 1F4A2=:anger_symbol: 1F4A3=:bomb: 1F4A4=:ZZZ: 1F4A5=:collision: \
        1F4A6=:sweat_droplets: 1F4A7=:droplet: 1F4A8=:dashing_away: 1F4A9=:pile_of_poo: 1F4AA=:flexed_biceps: \
        1F4AB=:dizzy: 1F4AC=:speech_balloon: 1F4AD=:thought_balloon: 1F4AE=:white_flower: 1F4AF=:hundred_points: \
        1F4B0=:money_bag: 1F4B1=:currency_exchange: 1F4B2=:heavy_dollar_sign: 1F4B3=:credit_card: 1F4B4=:yen_banknote: \
        1F4B5=:dollar_banknote: 1F4B6=:euro_banknote: 1F4B7=:pound_banknote: 1F4B8=:money_with_wings: \
        1F4B9=:chart_increasing_with_yen: 1F4BA=:seat: 1F4BB=:laptop: 1F4BC=:briefcase: 1F4BD=:computer_disk: \
        1F4BE=:floppy_disk: 1F4BF=:optical_disk: 1F4C0=:dvd: 1F4C1=:file_folder: 1F4C2=:open_file_folder: \
        1F4C3=:page_with_curl: 1F4C4=:page_facing_up: 1F4C5=:calendar: 1F4C6=:tear-off_calendar: 1F4C7=:card_index: \
        1F4C8=:chart_increasing: 1F4C9=:chart_decreasing: 1F4CA=:bar_chart: 1F4CB=:clipboard: 1F4CC=:pushpin: \
        1F4CD=:round_pushpin: 1F4CE=:paperclip: 1F4CF=:straight_ruler: 1F4D0=:triangular_ruler: 1F4D1=:bookmark_tabs: \
        1F4D2=:ledger: 1F4D3=:notebook: 1F4D4=:notebook_with_decorative_cover: 1F4D5=:closed_book: 1F4D6=:open_book: \
        1F4D7=:green_book: 1F4D8=:blue_book: 1F4D9=:orange_book: 1F4DA=:books: 1F4DB=:name_badge: 1F4DC=:scroll: \
        1F4DD=:memo: 1F4DE=:telephone_receiver: 1F4DF=:pager: 1F4E0=:fax_machine: 1F4E1=:satellite_antenna: \
        1F4E2=:loudspeaker: 1F4E3=:megaphone: 1F4E4=:outbox_tray: 1F4E5=:inbox_tray: 1F4E6=:package: 1F4E7=:e-mail: \
        1F4E8=:incoming_envelope: 1F4E9=:envelope_with_arrow: 1F4EA=:closed_mailbox_with_lowered_flag: \
        1F4EB=:closed_mailbox_with_raised_flag: 1F4EC=:open_mailbox_with_raised_flag: \
        1F4ED=:open_mailbox_with_lowered_flag: 1F4EE=:postbox: 1F4EF=:postal_horn: 1F4F0=:newspaper: \
        1F4F1=:mobile_phone: 1F4F2=:mobile_phone_with_arrow: 1F4F3=:vibration_mode: 1F4F4=:mobile_phone_off: \
        1F4F5=:no_mobile_phones: 1F4F6=:antenna_bars: 1F4F7=:camera: 1F4F8=:camera_with_flash: 1F4F9=:video_camera: \
        1F4FA=:television: 1F4FB=:radio: 1F4FC=:videocassette: 1F4FD=:film_projector: 1F4FF=:prayer_beads: \
        1F500=:shuffle_tracks_button: 1F501=:repeat_button: 1F502=:repeat_single_button: \
        1F503=:clockwise_vertical_arrows: 1F504=:counterclockwise_arrows_button: 1F505=:dim_button: \
        1F506=:bright_button: 1F507=:muted_speaker: 1F508=:speaker_low_volume: 1F509=:speaker_medium_volume: \
        1F50A=:speaker_high_volume: 1F50B=:battery: 1F50C=:electric_plug: 1F50D=:magnifying_glass_tilted_left: \
        1F50E=:magnifying_glass_tilted_right: 1F50F=:locked_with_pen: 1F510=:locked_with_key: 1F511=:key: \
        1F512=:locked: 1F513=:unlocked: 1F514=:bell: 1F515=:bell_with_slash: 1F516=:bookmark: 1F517=:link: \
        1F518=:radio_button: 1F519=:BACK_arrow: 1F51A=:END_arrow: 1F51B=:ON!_arrow: 1F51C=:SOON_arrow: \
        1F51D=:TOP_arrow: 1F51E=:no_one_under_eighteen: 1F51F=:keycap_10: 1F520=:input_latin_uppercase: \
        1F521=:input_latin_lowercase: 1F522=:input_numbers: 1F523=:input_symbols: 1F524=:input_latin_letters: \
        1F525=:fire: 1F526=:flashlight: 1F527=:wrench: 1F528=:hammer: 1F529=:nut_and_bolt: 1F52A=:kitchen_knife: \
        1F52B=:water_pistol: 1F52C=:microscope: 1F52D=:telescope: 1F52E=:crystal_ball: 1F52F=:dotted_six-pointed_star: \
        1F530=:Japanese_symbol_for_beginner: 1F531=:trident_emblem: 1F532=:black_square_button: \
        1F533=:white_square_button: 1F534=:red_circle: 1F535=:blue_circle: 1F536=:large_orange_diamond: \
        1F537=:large_blue_diamond: 1F538=:small_orange_diamond: 1F539=:small_blue_diamond: \
        1F53A=:red_triangle_pointed_up: 1F53B=:red_triangle_pointed_down: 1F53C=:upwards_button: \
        1F53D=:downwards_button: 1F549=:om: 1F54A=:dove: 1F54B=:kaaba: 1F54C=:mosque: 1F54D=:synagogue: \
        1F54E=:menorah: 1F550=:one_o’clock: 1F551=:two_o’clock: 1F552=:three_o’clock: 1F553=:four_o’clock: \
        1F554=:five_o’clock: 1F555=:six_o’clock: 1F556=:seven_o’clock: 1F557=:eight_o’clock: 1F558=:nine_o’clock: \
        1F559=:ten_o’clock: 1F55A=:eleven_o’clock: 1F55B=:twelve_o’clock: 1F55C=:one-thirty: 1F55D=:two-thirty: \
        1F55E=:three-thirty: 1F55F=:four-thirty: 1F560=:five-thirty: 1F561=:six-thirty: 1F562=:seven-thirty: \
        1F563=:eight-thirty: 1F564=:nine-thirty: 1F565=:ten-thirty: 1F566=:eleven-thirty: 1F567=:twelve-thirty: \
        1F56F=:candle: 1F570=:mantelpiece_clock: 1F573=:hole: 1F574=:person_in_suit_levitating: 1F575=:detective: \
        1F576=:sunglasses: 1F577=:spider: 1F578=:spider_web: 1F579=:joystick: 1F57A=:man_dancing: \
        1F587=:linked_paperclips: 1F58A=:pen: 1F58B=:fountain_pen: 1F58C=:paintbrush: 1F58D=:crayon: \
        1F590=:hand_with_fingers_splayed: 1F595=:middle_finger: 1F596=:vulcan_salute: 1F5A4=:black_heart: \
        1F5A5=:desktop_computer: 1F5A8=:printer: 1F5B1=:computer_mouse: 1F5B2=:trackball: 1F5BC=:framed_picture: \
        1F5C2=:card_index_dividers: 1F5C3=:card_file_box: 1F5C4=:file_cabinet: 1F5D1=:wastebasket: \
        1F5D2=:spiral_notepad: 1F5D3=:spiral_calendar: 1F5DC=:clamp: 1F5DD=:old_key: 1F5DE=:rolled-up_newspaper: \
        1F5E1=:dagger: 1F5E3=:speaking_head: 1F5E8=:left_speech_bubble: 1F5EF=:right_anger_bubble: \
        1F5F3=:ballot_box_with_ballot: 1F5FA=:world_map: 1F5FB=:mount_fuji: 1F5FC=:Tokyo_tower: \
        1F5FD=:Statue_of_Liberty: 1F5FE=:map_of_Japan: 1F5FF=:moai: 1F600=:grinning_face: \
        1F601=:beaming_face_with_smiling_eyes: 1F602=:face_with_tears_of_joy: 1F603=:grinning_face_with_big_eyes: \
        1F604=:grinning_face_with_smiling_eyes: 1F605=:grinning_face_with_sweat: 1F606=:grinning_squinting_face: \
        1F607=:smiling_face_with_halo: 1F608=:smiling_face_with_horns: 1F609=:winking_face: \
        1F60A=:smiling_face_with_smiling_eyes: 1F60B=:face_savoring_food: 1F60C=:relieved_face: \
        1F60D=:smiling_face_with_heart-eyes: 1F60E=:smiling_face_with_sunglasses: 1F60F=:smirking_face: \
        1F610=:neutral_face: 1F611=:expressionless_face: 1F612=:unamused_face: 1F613=:downcast_face_with_sweat: \
        1F614=:pensive_face: 1F615=:confused_face: 1F616=:confounded_face: 1F617=:kissing_face: \
        1F618=:face_blowing_a_kiss: 1F619=:kissing_face_with_smiling_eyes: 1F61A=:kissing_face_with_closed_eyes: \
        1F61B=:face_with_tongue: 1F61C=:winking_face_with_tongue: 1F61D=:squinting_face_with_tongue: \
        1F61E=:disappointed_face: 1F61F=:worried_face: 1F620=:angry_face: 1F621=:enraged_face: 1F622=:crying_face: \
        1F623=:persevering_face: 1F624=:face_with_steam_from_nose: 1F625=:sad_but_relieved_face: \
        1F626=:frowning_face_with_open_mouth: 1F627=:anguished_face: 1F628=:fearful_face: 1F629=:weary_face: \
        1F62A=:sleepy_face: 1F62B=:tired_face: 1F62C=:grimacing_face: 1F62D=:loudly_crying_face: \
        1F62E=:face_with_open_mouth: 1F62F=:hushed_face: 1F630=:anxious_face_with_sweat: \
        1F631=:face_screaming_in_fear: 1F632=:astonished_face: 1F633=:flushed_face: 1F634=:sleeping_face: \
        1F635=:face_with_crossed-out_eyes: 1F636=:face_without_mouth: 1F637=:face_with_medical_mask: \
        1F638=:grinning_cat_with_smiling_eyes: 1F639=:cat_with_tears_of_joy: 1F63A=:grinning_cat: \
        1F63B=:smiling_cat_with_heart-eyes: 1F63C=:cat_with_wry_smile: 1F63D=:kissing_cat: 1F63E=:pouting_cat: \
        1F63F=:crying_cat: 1F640=:weary_cat: 1F641=:slightly_frowning_face: 1F642=:slightly_smiling_face: \
        1F643=:upside-down_face: 1F644=:face_with_rolling_eyes: 1F645=:person_gesturing_NO: \
        1F646=:person_gesturing_OK: 1F647=:person_bowing: 1F648=:see-no-evil_monkey: 1F649=:hear-no-evil_monkey: \
        1F64A=:speak-no-evil_monkey: 1F64B=:person_raising_hand: 1F64C=:raising_hands: 1F64D=:person_frowning: \
        1F64E=:person_pouting: 1F64F=:folded_hands: 1F680=:rocket: 1F681=:helicopter: 1F682=:locomotive: \
        1F683=:railway_car: 1F684=:high-speed_train: 1F685=:bullet_train: 1F686=:train: 1F687=:metro: \
        1F688=:light_rail: 1F689=:station: 1F68A=:tram: 1F68B=:tram_car: 1F68C=:bus: 1F68D=:oncoming_bus: \
        1F68E=:trolleybus: 1F68F=:bus_stop: 1F690=:minibus: 1F691=:ambulance: 1F692=:fire_engine: 1F693=:police_car: \
        1F694=:oncoming_police_car: 1F695=:taxi: 1F696=:oncoming_taxi: 1F697=:automobile: 1F698=:oncoming_automobile: \
        1F699=:sport_utility_vehicle: 1F69A=:delivery_truck: 1F69B=:articulated_lorry: 1F69C=:tractor: \
        1F69D=:monorail: 1F69E=:mountain_railway: 1F69F=:suspension_railway: 1F6A0=:mountain_cableway: \
        1F6A1=:aerial_tramway: 1F6A2=:ship: 1F6A3=:person_rowing_boat: 1F6A4=:speedboat: \
        1F6A5=:horizontal_traffic_light: 1F6A6=:vertical_traffic_light: 1F6A7=:construction: 1F6A8=:police_car_light: \
        1F6A9=:triangular_flag: 1F6AA=:door: 1F6AB=:prohibited: 1F6AC=:cigarette: 1F6AD=:no_smoking: \
        1F6AE=:litter_in_bin_sign: 1F6AF=:no_littering: 1F6B0=:potable_water: 1F6B1=:non-potable_water: \
        1F6B2=:bicycle: 1F6B3=:no_bicycles: 1F6B4=:person_biking: 1F6B5=:person_mountain_biking: \
        1F6B6=:person_walking: 1F6B7=:no_pedestrians: 1F6B8=:children_crossing: 1F6B9=:men’s_room: \
        1F6BA=:women’s_room: 1F6BB=:restroom: 1F6BC=:baby_symbol: 1F6BD=:toilet: 1F6BE=:water_closet: 1F6BF=:shower: \
        1F6C0=:person_taking_bath: 1F6C1=:bathtub: 1F6C2=:passport_control: 1F6C3=:customs: 1F6C4=:baggage_claim: \
        1F6C5=:left_luggage: 1F6CB=:couch_and_lamp: 1F6CC=:person_in_bed: 1F6CD=:shopping_bags: 1F6CE=:bellhop_bell: \
        1F6CF=:bed: 1F6D0=:place_of_worship: 1F6D1=:stop_sign: 1F6D2=:shopping_cart: 1F6D5=:hindu_temple: 1F6D6=:hut: \
        1F6D7=:elevator: 1F6D8=:landslide: 1F6D9=:lighthouse: 1F6DC=:wireless: 1F6DD=:playground_slide: 1F6DE=:wheel: \
        1F6DF=:ring_buoy: 1F6E0=:hammer_and_wrench: 1F6E1=:shield: 1F6E2=:oil_drum: 1F6E3=:motorway: \
        1F6E4=:railway_track: 1F6E5=:motor_boat: 1F6E9=:small_airplane: 1F6EB=:airplane_departure: \
        1F6EC=:airplane_arrival: 1F6F0=:satellite: 1F6F3=:passenger_ship: 1F6F4=:kick_scooter: 1F6F5=:motor_scooter: \
        1F6F6=:canoe: 1F6F7=:sled: 1F6F8=:flying_saucer: 1F6F9=:skateboard: 1F6FA=:auto_rickshaw: 1F6FB=:pickup_truck: \
        1F6FC=:roller_skate: 1F7E0=:orange_circle: 1F7E1=:yellow_circle: 1F7E2=:green_circle: 1F7E3=:purple_circle: \
        1F7E4=:brown_circle: 1F7E5=:red_square: 1F7E6=:blue_square: 1F7E7=:orange_square: 1F7E8=:yellow_square: \
        1F7E9=:green_square: 1F7EA=:purple_square: 1F7EB=:brown_square: 1F7F0=:heavy_equals_sign: \
        1F90C=:pinched_fingers: 1F90D=:white_heart: 1F90E=:brown_heart: 1F90F=:pinching_hand: \
        1F910=:zipper-mouth_face: 1F911=:money-mouth_face: 1F912=:face_with_thermometer: 1F913=:nerd_face: \
        1F914=:thinking_face: 1F915=:face_with_head-bandage: 1F916=:robot: 1F917=:smiling_face_with_open_hands: \
        1F918=:sign_of_the_horns: 1F919=:call_me_hand: 1F91A=:raised_back_of_hand: 1F91B=:left-facing_fist: \
        1F91C=:right-facing_fist: 1F91D=:handshake: 1F91E=:crossed_fingers: 1F91F=:love-you_gesture: \
        1F920=:cowboy_hat_face: 1F921=:clown_face: 1F922=:nauseated_face: 1F923=:rolling_on_the_floor_laughing: \
        1F924=:drooling_face: 1F925=:lying_face: 1F926=:person_facepalming: 1F927=:sneezing_face: \
        1F928=:face_with_raised_eyebrow: 1F929=:star-struck: 1F92A=:zany_face: 1F92B=:shushing_face: \
        1F92C=:face_with_symbols_on_mouth: 1F92D=:face_with_hand_over_mouth: 1F92E=:face_vomiting: \
        1F92F=:exploding_head: 1F930=:pregnant_woman: 1F931=:breast-feeding: 1F932=:palms_up_together: 1F933=:selfie: \
        1F934=:prince: 1F935=:person_in_tuxedo: 1F936=:Mrs._Claus: 1F937=:person_shrugging: \
        1F938=:person_cartwheeling: 1F939=:person_juggling: 1F93A=:person_fencing: 1F93C=:people_wrestling: \
        1F93D=:person_playing_water_polo: 1F93E=:person_playing_handball: 1F93F=:diving_mask: 1F940=:wilted_flower: \
        1F941=:drum: 1F942=:clinking_glasses: 1F943=:tumbler_glass: 1F944=:spoon: 1F945=:goal_net: \
        1F947=:1st_place_medal: 1F948=:2nd_place_medal: 1F949=:3rd_place_medal: 1F94A=:boxing_glove: \
        1F94B=:martial_arts_uniform: 1F94C=:curling_stone: 1F94D=:lacrosse: 1F94E=:softball: 1F94F=:flying_disc: \
        1F950=:croissant: 1F951=:avocado: 1F952=:cucumber: 1F953=:bacon: 1F954=:potato: 1F955=:carrot: \
        1F956=:baguette_bread: 1F957=:green_salad: 1F958=:shallow_pan_of_food: 1F959=:stuffed_flatbread: 1F95A=:egg: \
        1F95B=:glass_of_milk: 1F95C=:peanuts: 1F95D=:kiwi_fruit: 1F95E=:pancakes: 1F95F=:dumpling: \
        1F960=:fortune_cookie: 1F961=:takeout_box: 1F962=:chopsticks: 1F963=:bowl_with_spoon: 1F964=:cup_with_straw: \
        1F965=:coconut: 1F966=:broccoli: 1F967=:pie: 1F968=:pretzel: 1F969=:cut_of_meat: 1F96A=:sandwich: \
        1F96B=:canned_food: 1F96C=:leafy_green: 1F96D=:mango: 1F96E=:moon_cake: 1F96F=:bagel: \
        1F970=:smiling_face_with_hearts: 1F971=:yawning_face: 1F972=:smiling_face_with_tear: 1F973=:partying_face: \
        1F974=:woozy_face: 1F975=:hot_face: 1F976=:cold_face: 1F977=:ninja: 1F978=:disguised_face: \
        1F979=:face_holding_back_tears: 1F97A=:pleading_face: 1F97B=:sari: 1F97C=:lab_coat: 1F97D=:goggles: \
        1F97E=:hiking_boot: 1F97F=:flat_shoe: 1F980=:crab: 1F981=:lion: 1F982=:scorpion: 1F983=:turkey: \
        1F984=:unicorn: 1F985=:eagle: 1F986=:duck: 1F987=:bat: 1F988=:shark: 1F989=:owl: 1F98A=:fox: 1F98B=:butterfly: \
        1F98C=:deer: 1F98D=:gorilla: 1F98E=:lizard: 1F98F=:rhinoceros: 1F990=:shrimp: 1F991=:squid: 1F992=:giraffe: \
        1F993=:zebra: 1F994=:hedgehog: 1F995=:sauropod: 1F996=:T-Rex: 1F997=:cricket: 1F998=:kangaroo: 1F999=:llama: \
        1F99A=:peacock: 1F99B=:hippopotamus: 1F99C=:parrot: 1F99D=:raccoon: 1F99E=:lobster: 1F99F=:mosquito: \
        1F9A0=:microbe: 1F9A1=:badger: 1F9A2=:swan: 1F9A3=:mammoth: 1F9A4=:dodo: 1F9A5=:sloth: 1F9A6=:otter: \
        1F9A7=:orangutan: 1F9A8=:skunk: 1F9A9=:flamingo: 1F9AA=:oyster: 1F9AB=:beaver: 1F9AC=:bison: 1F9AD=:seal: \
        1F9AE=:guide_dog: 1F9AF=:white_cane: 1F9B0=:red_hair: 1F9B1=:curly_hair: 1F9B2=:bald: 1F9B3=:white_hair: \
        1F9B4=:bone: 1F9B5=:leg: 1F9B6=:foot: 1F9B7=:tooth: 1F9B8=:superhero: 1F9B9=:supervillain: 1F9BA=:safety_vest: \
        1F9BB=:ear_with_hearing_aid: 1F9BC=:motorized_wheelchair: 1F9BD=:manual_wheelchair: 1F9BE=:mechanical_arm: \
        1F9BF=:mechanical_leg: 1F9C0=:cheese_wedge: 1F9C1=:cupcake: 1F9C2=:salt: 1F9C3=:beverage_box: 1F9C4=:garlic: \
        1F9C5=:onion: 1F9C6=:falafel: 1F9C7=:waffle: 1F9C8=:butter: 1F9C9=:mate: 1F9CA=:ice: 1F9CB=:bubble_tea: \
        1F9CC=:troll: 1F9CD=:person_standing: 1F9CE=:person_kneeling: 1F9CF=:deaf_person: 1F9D0=:face_with_monocle: \
        1F9D1=:person: 1F9D2=:child: 1F9D3=:older_person: 1F9D4=:person_beard: 1F9D5=:woman_with_headscarf: \
        1F9D6=:person_in_steamy_room: 1F9D7=:person_climbing: 1F9D8=:person_in_lotus_position: 1F9D9=:mage: \
        1F9DA=:fairy: 1F9DB=:vampire: 1F9DC=:merperson: 1F9DD=:elf: 1F9DE=:genie: 1F9DF=:zombie: 1F9E0=:brain: \
        1F9E1=:orange_heart: 1F9E2=:billed_cap: 1F9E3=:scarf: 1F9E4=:gloves: 1F9E5=:coat: 1F9E6=:socks: \
        1F9E7=:red_envelope: 1F9E8=:firecracker: 1F9E9=:puzzle_piece: 1F9EA=:test_tube: 1F9EB=:petri_dish: 1F9EC=:dna: \
        1F9ED=:compass: 1F9EE=:abacus: 1F9EF=:fire_extinguisher: 1F9F0=:toolbox: 1F9F1=:brick: 1F9F2=:magnet: \
        1F9F3=:luggage: 1F9F4=:lotion_bottle: 1F9F5=:thread: 1F9F6=:yarn: 1F9F7=:safety_pin: 1F9F8=:teddy_bear: \
        1F9F9=:broom: 1F9FA=:basket: 1F9FB=:roll_of_paper: 1F9FC=:soap: 1F9FD=:sponge: 1F9FE=:receipt: \
        1F9FF=:nazar_amulet: 1FA70=:ballet_shoes: 1FA71=:one-piece_swimsuit: 1FA72=:briefs: 1FA73=:shorts: \
        1FA74=:thong_sandal: 1FA75=:light_blue_heart: 1FA76=:grey_heart: 1FA77=:pink_heart: 1FA78=:drop_of_blood: \
        1FA79=:adhesive_bandage: 1FA7A=:stethoscope: 1FA7B=:x-ray: 1FA7C=:crutch: 1FA80=:yo-yo: 1FA81=:kite: \
        1FA82=:parachute: 1FA83=:boomerang: 1FA84=:magic_wand: 1FA85=:piñata: 1FA86=:nesting_dolls: 1FA87=:maracas: \
        1FA88=:flute: 1FA89=:harp: 1FA8A=:trombone: 1FA8B=:meteor: 1FA8C=:eraser: 1FA8D=:net_with_handle: \
        1FA8E=:treasure_chest: 1FA8F=:shovel: 1FA90=:ringed_planet: 1FA91=:chair: 1FA92=:razor: 1FA93=:axe: \
        1FA94=:diya_lamp: 1FA95=:banjo: 1FA96=:military_helmet: 1FA97=:accordion: 1FA98=:long_drum: 1FA99=:coin: \
        1FA9A=:carpentry_saw: 1FA9B=:screwdriver: 1FA9C=:ladder: 1FA9D=:hook: 1FA9E=:mirror: 1FA9F=:window: \
        1FAA0=:plunger: 1FAA1=:sewing_needle: 1FAA2=:knot: 1FAA3=:bucket: 1FAA4=:mouse_trap: 1FAA5=:toothbrush: \
        1FAA6=:headstone: 1FAA7=:placard: 1FAA8=:rock: 1FAA9=:mirror_ball: 1FAAA=:identification_card: \
        1FAAB=:low_battery: 1FAAC=:hamsa: 1FAAD=:folding_hand_fan: 1FAAE=:hair_pick: 1FAAF=:khanda: 1FAB0=:fly: \
        1FAB1=:worm: 1FAB2=:beetle: 1FAB3=:cockroach: 1FAB4=:potted_plant: 1FAB5=:wood: 1FAB6=:feather: 1FAB7=:lotus: \
        1FAB8=:coral: 1FAB9=:empty_nest: 1FABA=:nest_with_eggs: 1FABB=:hyacinth: 1FABC=:jellyfish: 1FABD=:wing: \
        1FABE=:leafless_tree: 1FABF=:goose: 1FAC0=:anatomical_heart: 1FAC1=:lungs: 1FAC2=:people_hugging: \
        1FAC3=:pregnant_man: 1FAC4=:pregnant_person: 1FAC5=:person_with_crown: 1FAC6=:fingerprint: \
        1FAC8=:hairy_creature: 1FACC=:monarch_butterfly: 1FACD=:orca: 1FACE=:moose: 1FACF=:donkey: 1FAD0=:blueberries: \
        1FAD1=:bell_pepper: 1FAD2=:olive: 1FAD3=:flatbread: 1FAD4=:tamale: 1FAD5=:fondue: 1FAD6=:teapot: \
        1FAD7=:pouring_liquid: 1FAD8=:beans: 1FAD9=:jar: 1FADA=:ginger_root: 1FADB=:pea_pod: 1FADC=:root_vegetable: \
        1FADD=:pickle: 1FADF=:splatter: 1FAE0=:melting_face: 1FAE1=:saluting_face: \
        1FAE2=:face_with_open_eyes_and_hand_over_mouth: 1FAE3=:face_with_peeking_eye: 1FAE4=:face_with_diagonal_mouth: \
        1FAE5=:dotted_line_face: 1FAE6=:biting_lip: 1FAE7=:bubbles: 1FAE8=:shaking_face: \
        1FAE9=:face_with_bags_under_eyes: 1FAEA=:distorted_face: 1FAEB=:cracking_face: 1FAEF=:fight_cloud: \
        1FAF0=:hand_with_index_finger_and_thumb_crossed: 1FAF1=:rightwards_hand: 1FAF2=:leftwards_hand: \
        1FAF3=:palm_down_hand: 1FAF4=:palm_up_hand: 1FAF5=:index_pointing_at_the_viewer: 1FAF6=:heart_hands: \
        1FAF7=:leftwards_pushing_hand: 1FAF8=:rightwards_pushing_hand: 1FAF9=:leftwards_thumb_sign: \
        1FAFA=:rightwards_thumb_sign:
        """

    /// HTML's entities.
    static let entities: StaticString = """
        C6=AElig C1=Aacute C2=Acirc C0=Agrave 391=Alpha C5=Aring C3=Atilde C4=Auml 392=Beta C7=Ccedil 3A7=Chi \
        2021=Dagger 394=Delta D0=ETH C9=Eacute CA=Ecirc C8=Egrave 395=Epsilon 397=Eta CB=Euml 393=Gamma CD=Iacute \
        CE=Icirc CC=Igrave 399=Iota CF=Iuml 39A=Kappa 39B=Lambda 39C=Mu D1=Ntilde 39D=Nu 152=OElig D3=Oacute D4=Ocirc \
        D2=Ograve 3A9=Omega 39F=Omicron D8=Oslash D5=Otilde D6=Ouml 3A6=Phi 3A0=Pi 2033=Prime 3A8=Psi 3A1=Rho \
        160=Scaron 3A3=Sigma DE=THORN 3A4=Tau 398=Theta DA=Uacute DB=Ucirc D9=Ugrave 3A5=Upsilon DC=Uuml 39E=Xi \
        DD=Yacute 178=Yuml 396=Zeta E1=aacute E2=acirc B4=acute E6=aelig E0=agrave 2135=alefsym 3B1=alpha 26=amp \
        2227=and 2220=ang E5=aring 2248=asymp E3=atilde E4=auml 201E=bdquo 3B2=beta A6=brvbar 2022=bull 2229=cap \
        E7=ccedil B8=cedil A2=cent 3C7=chi 2C6=circ 2663=clubs 2245=cong A9=copy 21B5=crarr 222A=cup A4=curren \
        21D3=dArr 2020=dagger 2193=darr B0=deg 3B4=delta 2666=diams F7=divide E9=eacute EA=ecirc E8=egrave 2205=empty \
        2003=emsp 2002=ensp 3B5=epsilon 2261=equiv 3B7=eta F0=eth EB=euml 20AC=euro 2203=exist 192=fnof 2200=forall \
        BD=frac12 BC=frac14 BE=frac34 2044=frasl 3B3=gamma 2265=ge 3E=gt 21D4=hArr 2194=harr 2665=hearts 2026=hellip \
        ED=iacute EE=icirc A1=iexcl EC=igrave 2111=image 221E=infin 222B=int 3B9=iota BF=iquest 2208=isin EF=iuml \
        3BA=kappa 21D0=lArr 3BB=lambda 2329=lang AB=laquo 2190=larr 2308=lceil 201C=ldquo 2264=le 230A=lfloor \
        2217=lowast 25CA=loz 200E=lrm 2039=lsaquo 2018=lsquo 3C=lt AF=macr 2014=mdash B5=micro B7=middot 2212=minus \
        3BC=mu 2207=nabla A0=nbsp 2013=ndash 2260=ne 220B=ni AC=not 2209=notin 2284=nsub F1=ntilde 3BD=nu F3=oacute \
        F4=ocirc 153=oelig F2=ograve 203E=oline 3C9=omega 3BF=omicron 2295=oplus 2228=or AA=ordf BA=ordm F8=oslash \
        F5=otilde 2297=otimes F6=ouml B6=para 2202=part 2030=permil 22A5=perp 3C6=phi 3C0=pi 3D6=piv B1=plusmn \
        A3=pound 2032=prime 220F=prod 221D=prop 3C8=psi 22=quot 21D2=rArr 221A=radic 232A=rang BB=raquo 2192=rarr \
        2309=rceil 201D=rdquo 211C=real AE=reg 230B=rfloor 3C1=rho 200F=rlm 203A=rsaquo 2019=rsquo 201A=sbquo \
        161=scaron 22C5=sdot A7=sect AD=shy 3C3=sigma 3C2=sigmaf 223C=sim 2660=spades 2282=sub 2286=sube 2211=sum \
        2283=sup B9=sup1 B2=sup2 B3=sup3 2287=supe DF=szlig 3C4=tau 2234=there4 3B8=theta 3D1=thetasym 2009=thinsp \
        FE=thorn 2DC=tilde D7=times 2122=trade 21D1=uArr FA=uacute 2191=uarr FB=ucirc F9=ugrave A8=uml 3D2=upsih \
        3C5=upsilon FC=uuml 2118=weierp 3BE=xi FD=yacute A5=yen FF=yuml 3B6=zeta 200D=zwj 200C=zwnj
        """

    /// What `\w` matches in Python's package regex.
    static let words: [UInt32] = [
        0x0030, 0x0039, 0x0041, 0x005A, 0x005F, 0x005F, 0x0061, 0x007A, 0x00AA, 0x00AA, 0x00B5, 0x00B5, 0x00BA, 0x00BA,
        0x00C0, 0x00D6, 0x00D8, 0x00F6, 0x00F8, 0x02C1, 0x02C6, 0x02D1, 0x02E0, 0x02E4, 0x02EC, 0x02EC, 0x02EE, 0x02EE,
        0x0300, 0x0374, 0x0376, 0x0377, 0x037A, 0x037D, 0x037F, 0x037F, 0x0386, 0x0386, 0x0388, 0x038A, 0x038C, 0x038C,
        0x038E, 0x03A1, 0x03A3, 0x03F5, 0x03F7, 0x0481, 0x0483, 0x052F, 0x0531, 0x0556, 0x0558, 0x0559, 0x0560, 0x0588,
        0x058B, 0x058C, 0x0591, 0x05BD, 0x05BF, 0x05BF, 0x05C1, 0x05C2, 0x05C4, 0x05C5, 0x05C7, 0x05C9, 0x05D0, 0x05EA,
        0x05EF, 0x05F2, 0x0610, 0x061A, 0x0620, 0x0669, 0x066E, 0x06D3, 0x06D5, 0x06DC, 0x06DF, 0x06E8, 0x06EA, 0x06FC,
        0x06FF, 0x06FF, 0x0710, 0x074A, 0x074D, 0x07B1, 0x07C0, 0x07F5, 0x07FA, 0x07FA, 0x07FD, 0x07FD, 0x0800, 0x082D,
        0x0840, 0x085B, 0x0860, 0x086A, 0x0870, 0x0887, 0x0889, 0x088F, 0x0897, 0x08E1, 0x08E3, 0x0963, 0x0966, 0x096F,
        0x0971, 0x0983, 0x0985, 0x098C, 0x098F, 0x0990, 0x0993, 0x09A8, 0x09AA, 0x09B0, 0x09B2, 0x09B2, 0x09B6, 0x09B9,
        0x09BC, 0x09C4, 0x09C7, 0x09C8, 0x09CB, 0x09CE, 0x09D7, 0x09D7, 0x09DC, 0x09DD, 0x09DF, 0x09E3, 0x09E6, 0x09F1,
        0x09FC, 0x09FC, 0x09FE, 0x09FE, 0x0A01, 0x0A03, 0x0A05, 0x0A0A, 0x0A0F, 0x0A10, 0x0A13, 0x0A28, 0x0A2A, 0x0A30,
        0x0A32, 0x0A33, 0x0A35, 0x0A36, 0x0A38, 0x0A39, 0x0A3C, 0x0A3C, 0x0A3E, 0x0A42, 0x0A47, 0x0A48, 0x0A4B, 0x0A4D,
        0x0A51, 0x0A51, 0x0A59, 0x0A5C, 0x0A5E, 0x0A5E, 0x0A66, 0x0A75, 0x0A81, 0x0A83, 0x0A85, 0x0A8D, 0x0A8F, 0x0A91,
        0x0A93, 0x0AA8, 0x0AAA, 0x0AB0, 0x0AB2, 0x0AB3, 0x0AB5, 0x0AB9, 0x0ABC, 0x0AC5, 0x0AC7, 0x0AC9, 0x0ACB, 0x0ACD,
        0x0AD0, 0x0AD0, 0x0AE0, 0x0AE3, 0x0AE6, 0x0AEF, 0x0AF9, 0x0AFF, 0x0B01, 0x0B03, 0x0B05, 0x0B0C, 0x0B0F, 0x0B10,
        0x0B13, 0x0B28, 0x0B2A, 0x0B30, 0x0B32, 0x0B33, 0x0B35, 0x0B39, 0x0B3C, 0x0B44, 0x0B47, 0x0B48, 0x0B4B, 0x0B4D,
        0x0B53, 0x0B57, 0x0B5C, 0x0B5D, 0x0B5F, 0x0B63, 0x0B66, 0x0B6F, 0x0B71, 0x0B71, 0x0B82, 0x0B83, 0x0B85, 0x0B8A,
        0x0B8E, 0x0B90, 0x0B92, 0x0B95, 0x0B99, 0x0B9A, 0x0B9C, 0x0B9C, 0x0B9E, 0x0B9F, 0x0BA3, 0x0BA4, 0x0BA8, 0x0BAA,
        0x0BAE, 0x0BB9, 0x0BBE, 0x0BC2, 0x0BC6, 0x0BC8, 0x0BCA, 0x0BCD, 0x0BD0, 0x0BD0, 0x0BD7, 0x0BD7, 0x0BE6, 0x0BEF,
        0x0C00, 0x0C0C, 0x0C0E, 0x0C10, 0x0C12, 0x0C28, 0x0C2A, 0x0C39, 0x0C3C, 0x0C44, 0x0C46, 0x0C48, 0x0C4A, 0x0C4D,
        0x0C55, 0x0C56, 0x0C58, 0x0C5A, 0x0C5C, 0x0C5D, 0x0C60, 0x0C63, 0x0C66, 0x0C6F, 0x0C80, 0x0C83, 0x0C85, 0x0C8C,
        0x0C8E, 0x0C90, 0x0C92, 0x0CA8, 0x0CAA, 0x0CB3, 0x0CB5, 0x0CB9, 0x0CBC, 0x0CC4, 0x0CC6, 0x0CC8, 0x0CCA, 0x0CCD,
        0x0CD5, 0x0CD6, 0x0CDC, 0x0CDE, 0x0CE0, 0x0CE3, 0x0CE6, 0x0CEF, 0x0CF1, 0x0CF3, 0x0D00, 0x0D0C, 0x0D0E, 0x0D10,
        0x0D12, 0x0D44, 0x0D46, 0x0D48, 0x0D4A, 0x0D4E, 0x0D54, 0x0D57, 0x0D5F, 0x0D63, 0x0D66, 0x0D6F, 0x0D7A, 0x0D7F,
        0x0D81, 0x0D83, 0x0D85, 0x0D96, 0x0D9A, 0x0DB1, 0x0DB3, 0x0DBB, 0x0DBD, 0x0DBD, 0x0DC0, 0x0DC6, 0x0DCA, 0x0DCA,
        0x0DCF, 0x0DD4, 0x0DD6, 0x0DD6, 0x0DD8, 0x0DDF, 0x0DE6, 0x0DEF, 0x0DF2, 0x0DF3, 0x0E01, 0x0E3A, 0x0E40, 0x0E4E,
        0x0E50, 0x0E59, 0x0E81, 0x0E82, 0x0E84, 0x0E84, 0x0E86, 0x0E8A, 0x0E8C, 0x0EA3, 0x0EA5, 0x0EA5, 0x0EA7, 0x0EBD,
        0x0EC0, 0x0EC4, 0x0EC6, 0x0EC6, 0x0EC8, 0x0ECE, 0x0ED0, 0x0ED9, 0x0EDC, 0x0EDF, 0x0F00, 0x0F00, 0x0F18, 0x0F19,
        0x0F20, 0x0F29, 0x0F35, 0x0F35, 0x0F37, 0x0F37, 0x0F39, 0x0F39, 0x0F3E, 0x0F47, 0x0F49, 0x0F6C, 0x0F71, 0x0F84,
        0x0F86, 0x0F97, 0x0F99, 0x0FBC, 0x0FC6, 0x0FC6, 0x1000, 0x1049, 0x1050, 0x109D, 0x10A0, 0x10C5, 0x10C7, 0x10C7,
        0x10CD, 0x10CD, 0x10D0, 0x10FA, 0x10FC, 0x1248, 0x124A, 0x124D, 0x1250, 0x1256, 0x1258, 0x1258, 0x125A, 0x125D,
        0x1260, 0x1288, 0x128A, 0x128D, 0x1290, 0x12B0, 0x12B2, 0x12B5, 0x12B8, 0x12BE, 0x12C0, 0x12C0, 0x12C2, 0x12C5,
        0x12C8, 0x12D6, 0x12D8, 0x1310, 0x1312, 0x1315, 0x1318, 0x135A, 0x135D, 0x135F, 0x1380, 0x138F, 0x13A0, 0x13F5,
        0x13F8, 0x13FD, 0x1401, 0x166C, 0x166F, 0x167F, 0x1681, 0x169A, 0x16A0, 0x16EA, 0x16EE, 0x16F8, 0x1700, 0x1715,
        0x171F, 0x1734, 0x1740, 0x1753, 0x1760, 0x176C, 0x176E, 0x1770, 0x1772, 0x1773, 0x1780, 0x17D3, 0x17D7, 0x17D7,
        0x17DC, 0x17DD, 0x17E0, 0x17E9, 0x180B, 0x180D, 0x180F, 0x1819, 0x1820, 0x1878, 0x1880, 0x18AA, 0x18B0, 0x18F5,
        0x1900, 0x191E, 0x1920, 0x192B, 0x1930, 0x193B, 0x1946, 0x196D, 0x1970, 0x1974, 0x1980, 0x19AB, 0x19B0, 0x19C9,
        0x19D0, 0x19D9, 0x1A00, 0x1A1B, 0x1A20, 0x1A5E, 0x1A60, 0x1A7C, 0x1A7F, 0x1A89, 0x1A90, 0x1A99, 0x1AA7, 0x1AA7,
        0x1AB0, 0x1AF0, 0x1B00, 0x1B4C, 0x1B50, 0x1B59, 0x1B6B, 0x1B73, 0x1B80, 0x1BF3, 0x1C00, 0x1C37, 0x1C40, 0x1C49,
        0x1C4D, 0x1C7D, 0x1C80, 0x1C8A, 0x1C90, 0x1CBA, 0x1CBD, 0x1CBF, 0x1CD0, 0x1CD2, 0x1CD4, 0x1CFA, 0x1D00, 0x1F15,
        0x1F18, 0x1F1D, 0x1F20, 0x1F45, 0x1F48, 0x1F4D, 0x1F50, 0x1F57, 0x1F59, 0x1F59, 0x1F5B, 0x1F5B, 0x1F5D, 0x1F5D,
        0x1F5F, 0x1F7D, 0x1F80, 0x1FB4, 0x1FB6, 0x1FBC, 0x1FBE, 0x1FBE, 0x1FC2, 0x1FC4, 0x1FC6, 0x1FCC, 0x1FD0, 0x1FD3,
        0x1FD6, 0x1FDB, 0x1FE0, 0x1FEC, 0x1FF2, 0x1FF4, 0x1FF6, 0x1FFC, 0x200C, 0x200D, 0x203F, 0x2040, 0x2054, 0x2054,
        0x2071, 0x2071, 0x207F, 0x207F, 0x208F, 0x209F, 0x20D0, 0x20F0, 0x2102, 0x2102, 0x2107, 0x2107, 0x210A, 0x2113,
        0x2115, 0x2115, 0x2119, 0x211D, 0x2124, 0x2124, 0x2126, 0x2126, 0x2128, 0x2128, 0x212A, 0x212D, 0x212F, 0x2139,
        0x213C, 0x213F, 0x2145, 0x2149, 0x214E, 0x214E, 0x2160, 0x2188, 0x24B6, 0x24E9, 0x2C00, 0x2CE4, 0x2CEB, 0x2CF3,
        0x2D00, 0x2D25, 0x2D27, 0x2D27, 0x2D2D, 0x2D2D, 0x2D30, 0x2D67, 0x2D6F, 0x2D6F, 0x2D7F, 0x2D96, 0x2DA0, 0x2DA6,
        0x2DA8, 0x2DAE, 0x2DB0, 0x2DB6, 0x2DB8, 0x2DBE, 0x2DC0, 0x2DC6, 0x2DC8, 0x2DCE, 0x2DD0, 0x2DD6, 0x2DD8, 0x2DDE,
        0x2DE0, 0x2DFF, 0x2E2F, 0x2E2F, 0x3005, 0x3007, 0x3021, 0x302F, 0x3031, 0x3035, 0x3038, 0x303C, 0x3041, 0x3096,
        0x3099, 0x309A, 0x309D, 0x309F, 0x30A1, 0x30FA, 0x30FC, 0x30FF, 0x3105, 0x312F, 0x3131, 0x318E, 0x31A0, 0x31BF,
        0x31F0, 0x31FF, 0x3400, 0x4DBF, 0x4E00, 0xA48C, 0xA4D0, 0xA4FD, 0xA500, 0xA60C, 0xA610, 0xA62B, 0xA640, 0xA672,
        0xA674, 0xA67D, 0xA67F, 0xA6F1, 0xA717, 0xA71F, 0xA722, 0xA788, 0xA78B, 0xA7DD, 0xA7E2, 0xA7E2, 0xA7F1, 0xA827,
        0xA82C, 0xA82C, 0xA840, 0xA873, 0xA880, 0xA8C5, 0xA8D0, 0xA8D9, 0xA8E0, 0xA8F7, 0xA8FB, 0xA8FB, 0xA8FD, 0xA92D,
        0xA930, 0xA953, 0xA960, 0xA97C, 0xA980, 0xA9C0, 0xA9CF, 0xA9D9, 0xA9E0, 0xA9FE, 0xAA00, 0xAA36, 0xAA40, 0xAA4D,
        0xAA50, 0xAA59, 0xAA60, 0xAA76, 0xAA7A, 0xAAC2, 0xAADB, 0xAADD, 0xAAE0, 0xAAEF, 0xAAF2, 0xAAF6, 0xAB01, 0xAB06,
        0xAB09, 0xAB0E, 0xAB11, 0xAB16, 0xAB20, 0xAB26, 0xAB28, 0xAB2E, 0xAB30, 0xAB5A, 0xAB5C, 0xAB69, 0xAB6C, 0xAB6D,
        0xAB70, 0xABEA, 0xABEC, 0xABED, 0xABF0, 0xABF9, 0xAC00, 0xD7A3, 0xD7B0, 0xD7C6, 0xD7CB, 0xD7FB, 0xF900, 0xFA6D,
        0xFA70, 0xFAD9, 0xFB00, 0xFB06, 0xFB13, 0xFB17, 0xFB1D, 0xFB28, 0xFB2A, 0xFB36, 0xFB38, 0xFB3C, 0xFB3E, 0xFB3E,
        0xFB40, 0xFB41, 0xFB43, 0xFB44, 0xFB46, 0xFBB1, 0xFBD3, 0xFD3D, 0xFD50, 0xFD8F, 0xFD92, 0xFDC7, 0xFDF0, 0xFDFB,
        0xFE00, 0xFE0F, 0xFE20, 0xFE2F, 0xFE33, 0xFE34, 0xFE4D, 0xFE4F, 0xFE70, 0xFE74, 0xFE76, 0xFEFC, 0xFF10, 0xFF19,
        0xFF21, 0xFF3A, 0xFF3F, 0xFF3F, 0xFF41, 0xFF5A, 0xFF66, 0xFFBE, 0xFFC2, 0xFFC7, 0xFFCA, 0xFFCF, 0xFFD2, 0xFFD7,
        0xFFDA, 0xFFDC, 0x10000, 0x1000B, 0x1000D, 0x10026, 0x10028, 0x1003A, 0x1003C, 0x1003D, 0x1003F, 0x1004D,
        0x10050, 0x1005D, 0x10080, 0x100FA, 0x10140, 0x10174, 0x101FD, 0x101FD, 0x10280, 0x1029C, 0x102A0, 0x102D0,
        0x102E0, 0x102E0, 0x10300, 0x1031F, 0x1032D, 0x1034A, 0x10350, 0x1037A, 0x10380, 0x1039D, 0x103A0, 0x103C3,
        0x103C8, 0x103CF, 0x103D1, 0x103D5, 0x10400, 0x1049D, 0x104A0, 0x104A9, 0x104B0, 0x104D3, 0x104D8, 0x104FB,
        0x10500, 0x10527, 0x10530, 0x10563, 0x10570, 0x1057A, 0x1057C, 0x1058A, 0x1058C, 0x10592, 0x10594, 0x10595,
        0x10597, 0x105A1, 0x105A3, 0x105B1, 0x105B3, 0x105B9, 0x105BB, 0x105BC, 0x105C0, 0x105F3, 0x10600, 0x10736,
        0x10740, 0x10755, 0x10760, 0x10767, 0x10780, 0x10785, 0x10787, 0x107B0, 0x107B2, 0x107BF, 0x10800, 0x10805,
        0x10808, 0x10808, 0x1080A, 0x10835, 0x10837, 0x10838, 0x1083C, 0x1083C, 0x1083F, 0x10855, 0x10860, 0x10876,
        0x10880, 0x1089E, 0x108E0, 0x108F2, 0x108F4, 0x108F5, 0x10900, 0x10915, 0x10920, 0x10939, 0x10940, 0x10959,
        0x10980, 0x109B7, 0x109BE, 0x109BF, 0x10A00, 0x10A03, 0x10A05, 0x10A06, 0x10A0C, 0x10A13, 0x10A15, 0x10A17,
        0x10A19, 0x10A35, 0x10A38, 0x10A3A, 0x10A3F, 0x10A3F, 0x10A60, 0x10A7C, 0x10A80, 0x10A9C, 0x10AC0, 0x10AC7,
        0x10AC9, 0x10AE6, 0x10B00, 0x10B35, 0x10B40, 0x10B55, 0x10B60, 0x10B72, 0x10B80, 0x10B91, 0x10C00, 0x10C48,
        0x10C80, 0x10CB2, 0x10CC0, 0x10CF2, 0x10D00, 0x10D27, 0x10D30, 0x10D39, 0x10D40, 0x10D65, 0x10D69, 0x10D6D,
        0x10D6F, 0x10D85, 0x10E80, 0x10EA9, 0x10EAB, 0x10EAC, 0x10EB0, 0x10EB1, 0x10EC2, 0x10EC7, 0x10ECB, 0x10ECF,
        0x10ED9, 0x10EEE, 0x10EF0, 0x10F1C, 0x10F27, 0x10F27, 0x10F30, 0x10F50, 0x10F70, 0x10F85, 0x10FB0, 0x10FC4,
        0x10FE0, 0x10FF6, 0x11000, 0x11046, 0x11066, 0x11075, 0x1107F, 0x110BA, 0x110C2, 0x110C2, 0x110D0, 0x110E8,
        0x110F0, 0x110F9, 0x11100, 0x11134, 0x11136, 0x1113F, 0x11144, 0x11147, 0x11150, 0x11173, 0x11176, 0x11176,
        0x11180, 0x111C4, 0x111C9, 0x111CC, 0x111CE, 0x111DA, 0x111DC, 0x111DC, 0x11200, 0x11211, 0x11213, 0x11237,
        0x1123E, 0x11241, 0x11280, 0x11286, 0x11288, 0x11288, 0x1128A, 0x1128D, 0x1128F, 0x1129D, 0x1129F, 0x112A8,
        0x112B0, 0x112EA, 0x112F0, 0x112F9, 0x11300, 0x11303, 0x11305, 0x1130C, 0x1130F, 0x11310, 0x11313, 0x11328,
        0x1132A, 0x11330, 0x11332, 0x11333, 0x11335, 0x11339, 0x1133B, 0x11344, 0x11347, 0x11348, 0x1134B, 0x1134D,
        0x11350, 0x11350, 0x11357, 0x11357, 0x1135D, 0x11363, 0x11366, 0x1136C, 0x11370, 0x11374, 0x11380, 0x11389,
        0x1138B, 0x1138B, 0x1138E, 0x1138E, 0x11390, 0x113B5, 0x113B7, 0x113C0, 0x113C2, 0x113C2, 0x113C5, 0x113C5,
        0x113C7, 0x113CA, 0x113CC, 0x113D3, 0x113E1, 0x113E2, 0x11400, 0x1144A, 0x11450, 0x11459, 0x1145E, 0x11461,
        0x11480, 0x114C5, 0x114C7, 0x114C7, 0x114D0, 0x114D9, 0x11580, 0x115B5, 0x115B8, 0x115C0, 0x115D8, 0x115DD,
        0x11600, 0x11640, 0x11644, 0x11644, 0x11650, 0x11659, 0x11680, 0x116B8, 0x116C0, 0x116C9, 0x116D0, 0x116E3,
        0x11700, 0x1171A, 0x1171D, 0x1172B, 0x11730, 0x11739, 0x11740, 0x11746, 0x11800, 0x1183A, 0x118A0, 0x118E9,
        0x118FF, 0x11906, 0x11909, 0x11909, 0x1190C, 0x11913, 0x11915, 0x11916, 0x11918, 0x11935, 0x11937, 0x11938,
        0x1193B, 0x11943, 0x11950, 0x11959, 0x119A0, 0x119A7, 0x119AA, 0x119D7, 0x119DA, 0x119E1, 0x119E3, 0x119E4,
        0x11A00, 0x11A3E, 0x11A47, 0x11A47, 0x11A50, 0x11A99, 0x11A9D, 0x11A9D, 0x11AB0, 0x11AF8, 0x11B0A, 0x11B0A,
        0x11B60, 0x11B67, 0x11BC0, 0x11BE0, 0x11BF0, 0x11BF9, 0x11C00, 0x11C08, 0x11C0A, 0x11C36, 0x11C38, 0x11C40,
        0x11C50, 0x11C59, 0x11C72, 0x11C8F, 0x11C92, 0x11CA7, 0x11CA9, 0x11CB6, 0x11D00, 0x11D06, 0x11D08, 0x11D09,
        0x11D0B, 0x11D36, 0x11D3A, 0x11D3A, 0x11D3C, 0x11D3D, 0x11D3F, 0x11D47, 0x11D50, 0x11D59, 0x11D60, 0x11D65,
        0x11D67, 0x11D68, 0x11D6A, 0x11D8E, 0x11D90, 0x11D91, 0x11D93, 0x11D98, 0x11DA0, 0x11DA9, 0x11DB0, 0x11DDB,
        0x11DE0, 0x11DE9, 0x11DF0, 0x11DF1, 0x11EE0, 0x11EF6, 0x11F00, 0x11F10, 0x11F12, 0x11F3A, 0x11F3E, 0x11F42,
        0x11F50, 0x11F5A, 0x11FB0, 0x11FB0, 0x12000, 0x12399, 0x12400, 0x1246F, 0x12475, 0x12543, 0x12550, 0x12686,
        0x12F90, 0x12FF0, 0x13000, 0x1342F, 0x13440, 0x13455, 0x13460, 0x143FA, 0x14400, 0x14646, 0x16100, 0x16139,
        0x16800, 0x16A38, 0x16A40, 0x16A5E, 0x16A60, 0x16A69, 0x16A70, 0x16ABE, 0x16AC0, 0x16AC9, 0x16AD0, 0x16AED,
        0x16AF0, 0x16AF4, 0x16B00, 0x16B36, 0x16B40, 0x16B43, 0x16B50, 0x16B59, 0x16B63, 0x16B77, 0x16B7D, 0x16B8F,
        0x16D40, 0x16D6C, 0x16D70, 0x16D79, 0x16E40, 0x16E7F, 0x16EA0, 0x16EB8, 0x16EBB, 0x16ED3, 0x16F00, 0x16F4A,
        0x16F4F, 0x16F87, 0x16F8F, 0x16F9F, 0x16FE0, 0x16FE1, 0x16FE3, 0x16FE4, 0x16FF0, 0x16FF6, 0x17000, 0x18CDA,
        0x18CFF, 0x18D20, 0x18D80, 0x18DF2, 0x18E00, 0x19191, 0x191A0, 0x191D2, 0x1AFF0, 0x1AFF3, 0x1AFF5, 0x1AFFB,
        0x1AFFD, 0x1AFFE, 0x1B000, 0x1B128, 0x1B132, 0x1B132, 0x1B150, 0x1B152, 0x1B155, 0x1B155, 0x1B164, 0x1B168,
        0x1B170, 0x1B2FB, 0x1BC00, 0x1BC6A, 0x1BC70, 0x1BC7C, 0x1BC80, 0x1BC88, 0x1BC90, 0x1BC99, 0x1BC9D, 0x1BC9E,
        0x1CCF0, 0x1CCF9, 0x1CF00, 0x1CF2D, 0x1CF30, 0x1CF46, 0x1D127, 0x1D128, 0x1D165, 0x1D169, 0x1D16D, 0x1D172,
        0x1D17B, 0x1D182, 0x1D185, 0x1D18B, 0x1D1AA, 0x1D1AD, 0x1D242, 0x1D244, 0x1D250, 0x1D252, 0x1D25B, 0x1D25C,
        0x1D25F, 0x1D25F, 0x1D280, 0x1D281, 0x1D400, 0x1D454, 0x1D456, 0x1D49C, 0x1D49E, 0x1D49F, 0x1D4A2, 0x1D4A2,
        0x1D4A5, 0x1D4A6, 0x1D4A9, 0x1D4AC, 0x1D4AE, 0x1D4B9, 0x1D4BB, 0x1D4BB, 0x1D4BD, 0x1D4C3, 0x1D4C5, 0x1D505,
        0x1D507, 0x1D50A, 0x1D50D, 0x1D514, 0x1D516, 0x1D51C, 0x1D51E, 0x1D539, 0x1D53B, 0x1D53E, 0x1D540, 0x1D544,
        0x1D546, 0x1D546, 0x1D54A, 0x1D550, 0x1D552, 0x1D6A6, 0x1D6A8, 0x1D6C0, 0x1D6C2, 0x1D6DA, 0x1D6DC, 0x1D6FA,
        0x1D6FC, 0x1D714, 0x1D716, 0x1D734, 0x1D736, 0x1D74E, 0x1D750, 0x1D76E, 0x1D770, 0x1D788, 0x1D78A, 0x1D7A8,
        0x1D7AA, 0x1D7C2, 0x1D7C4, 0x1D7CB, 0x1D7CE, 0x1D7FF, 0x1DA00, 0x1DA36, 0x1DA3B, 0x1DA6C, 0x1DA75, 0x1DA75,
        0x1DA84, 0x1DA84, 0x1DA9B, 0x1DA9F, 0x1DAA1, 0x1DAAF, 0x1DF00, 0x1DF81, 0x1DF90, 0x1DF96, 0x1DFCD, 0x1E006,
        0x1E008, 0x1E018, 0x1E01B, 0x1E021, 0x1E023, 0x1E024, 0x1E026, 0x1E02A, 0x1E030, 0x1E06D, 0x1E08F, 0x1E08F,
        0x1E100, 0x1E12C, 0x1E130, 0x1E13D, 0x1E140, 0x1E149, 0x1E14E, 0x1E14E, 0x1E290, 0x1E2AE, 0x1E2C0, 0x1E2F9,
        0x1E4D0, 0x1E4F9, 0x1E5D0, 0x1E5FA, 0x1E6C0, 0x1E6DE, 0x1E6E0, 0x1E6F5, 0x1E6FE, 0x1E6FF, 0x1E7E0, 0x1E7E6,
        0x1E7E8, 0x1E7EB, 0x1E7ED, 0x1E7EE, 0x1E7F0, 0x1E7FE, 0x1E800, 0x1E8C4, 0x1E8D0, 0x1E8D6, 0x1E900, 0x1E94B,
        0x1E950, 0x1E959, 0x1EE00, 0x1EE03, 0x1EE05, 0x1EE1F, 0x1EE21, 0x1EE22, 0x1EE24, 0x1EE24, 0x1EE27, 0x1EE27,
        0x1EE29, 0x1EE32, 0x1EE34, 0x1EE37, 0x1EE39, 0x1EE39, 0x1EE3B, 0x1EE3B, 0x1EE42, 0x1EE42, 0x1EE47, 0x1EE47,
        0x1EE49, 0x1EE49, 0x1EE4B, 0x1EE4B, 0x1EE4D, 0x1EE4F, 0x1EE51, 0x1EE52, 0x1EE54, 0x1EE54, 0x1EE57, 0x1EE57,
        0x1EE59, 0x1EE59, 0x1EE5B, 0x1EE5B, 0x1EE5D, 0x1EE5D, 0x1EE5F, 0x1EE5F, 0x1EE61, 0x1EE62, 0x1EE64, 0x1EE64,
        0x1EE67, 0x1EE6A, 0x1EE6C, 0x1EE72, 0x1EE74, 0x1EE77, 0x1EE79, 0x1EE7C, 0x1EE7E, 0x1EE7E, 0x1EE80, 0x1EE89,
        0x1EE8B, 0x1EE9B, 0x1EEA1, 0x1EEA3, 0x1EEA5, 0x1EEA9, 0x1EEAB, 0x1EEBB, 0x1F130, 0x1F149, 0x1F150, 0x1F169,
        0x1F170, 0x1F189, 0x1FBF0, 0x1FBF9, 0x20000, 0x2A6DF, 0x2A700, 0x2B81E, 0x2B820, 0x2CEAD, 0x2CEB0, 0x2EBE0,
        0x2EBF0, 0x2EE5D, 0x2F800, 0x2FA1D, 0x30000, 0x3134A, 0x31350, 0x33479, 0x3D000, 0x3FC3F, 0xE0100, 0xE01EF,
    ]

    /// What `\d` matches there.
    static let digits: [UInt32] = [
        0x0030, 0x0039, 0x0660, 0x0669, 0x06F0, 0x06F9, 0x07C0, 0x07C9, 0x0966, 0x096F, 0x09E6, 0x09EF, 0x0A66, 0x0A6F,
        0x0AE6, 0x0AEF, 0x0B66, 0x0B6F, 0x0BE6, 0x0BEF, 0x0C66, 0x0C6F, 0x0CE6, 0x0CEF, 0x0D66, 0x0D6F, 0x0DE6, 0x0DEF,
        0x0E50, 0x0E59, 0x0ED0, 0x0ED9, 0x0F20, 0x0F29, 0x1040, 0x1049, 0x1090, 0x1099, 0x17E0, 0x17E9, 0x1810, 0x1819,
        0x1946, 0x194F, 0x19D0, 0x19D9, 0x1A80, 0x1A89, 0x1A90, 0x1A99, 0x1B50, 0x1B59, 0x1BB0, 0x1BB9, 0x1C40, 0x1C49,
        0x1C50, 0x1C59, 0xA620, 0xA629, 0xA8D0, 0xA8D9, 0xA900, 0xA909, 0xA9D0, 0xA9D9, 0xA9F0, 0xA9F9, 0xAA50, 0xAA59,
        0xABF0, 0xABF9, 0xFF10, 0xFF19, 0x104A0, 0x104A9, 0x10D30, 0x10D39, 0x10D40, 0x10D49, 0x11066, 0x1106F,
        0x110F0, 0x110F9, 0x11136, 0x1113F, 0x111D0, 0x111D9, 0x112F0, 0x112F9, 0x11450, 0x11459, 0x114D0, 0x114D9,
        0x11650, 0x11659, 0x116C0, 0x116C9, 0x116D0, 0x116E3, 0x11730, 0x11739, 0x118E0, 0x118E9, 0x11950, 0x11959,
        0x11BF0, 0x11BF9, 0x11C50, 0x11C59, 0x11D50, 0x11D59, 0x11DA0, 0x11DA9, 0x11DE0, 0x11DE9, 0x11F50, 0x11F59,
        0x16130, 0x16139, 0x16A60, 0x16A69, 0x16AC0, 0x16AC9, 0x16B50, 0x16B59, 0x16D70, 0x16D79, 0x1CCF0, 0x1CCF9,
        0x1D7CE, 0x1D7FF, 0x1E140, 0x1E149, 0x1E2F0, 0x1E2F9, 0x1E4F0, 0x1E4F9, 0x1E5F1, 0x1E5FA, 0x1E950, 0x1E959,
        0x1FBF0, 0x1FBF9,
    ]
}
